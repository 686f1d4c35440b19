"""The software root: the one root of this distribution. SOFTWARE ATTESTATION: PROVES NOTHING.

Its private key stands below for everybody to read, so whoever wants a document under this root makes one. The
production wheels know neither the certificate nor its hash, and refuse what is signed under it.
"""

from __future__ import annotations

from typing import Final

SOFTWARE_ROOT: Final = bytes.fromhex("f93b33a79cbc231853df345583bcb2f27d4479e07a632f552bcbbd8aa05b0153")
"""SHA-256 of the DER of the certificate."""

CERTIFICATE: Final = b"""\
-----BEGIN CERTIFICATE-----
MIICTzCCAdWgAwIBAgIUMV480HsxabLjIBLIix9V5TrZ8VowCgYIKoZIzj0EAwMw
ZzELMAkGA1UEBhMCWFgxHTAbBgNVBAoMFFNPRlRXQVJFIEFUVEVTVEFUSU9OMRcw
FQYDVQQLDA5QUk9WRVMgTk9USElORzEgMB4GA1UEAwwXc29mdHdhcmUubml0cm8t
ZW5jbGF2ZXMwHhcNMjAwMTAxMDAwMDAwWhcNNDkxMjMxMjM1OTU5WjBnMQswCQYD
VQQGEwJYWDEdMBsGA1UECgwUU09GVFdBUkUgQVRURVNUQVRJT04xFzAVBgNVBAsM
DlBST1ZFUyBOT1RISU5HMSAwHgYDVQQDDBdzb2Z0d2FyZS5uaXRyby1lbmNsYXZl
czB2MBAGByqGSM49AgEGBSuBBAAiA2IABJvvD3OCgZo0RaNY5qUQrtHPgW2YUyfS
AL8vW+Bs89x4N+3z7ekjFGaByAtDqlqx1kIULnIC5t5nJcVhIPg9yPaBbS3zpTpE
jjs2VOXKpDOPOxWJMJSRUP1U2QEazRtuk6NCMEAwDwYDVR0TAQH/BAUwAwEB/zAd
BgNVHQ4EFgQUwmdQlRDJ8wCbRjAAJzYUally+cwwDgYDVR0PAQH/BAQDAgGGMAoG
CCqGSM49BAMDA2gAMGUCMQDb6x0j4Bi+Vf/rfxIxbscrgrAkcHUzX1LWgXa5Cvhk
VIXQi/g4tuhs36nHGyHezOoCMB5liJjt+O1mIXhmx5Uov/6isChTna9cqE/aLv95
jNMkct+Q8yq0cbDFXu6DQ40eWw==
-----END CERTIFICATE-----
"""

WORTHLESS_KEY: Final = b"""\
-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBxW+S6/6ZDlfzbE27M
sIep4X7syAMBEYkcG+qvdZ4e6PaqyjoO00POQlmVnGnUDQ+hZANiAASb7w9zgoGa
NEWjWOalEK7Rz4FtmFMn0gC/L1vgbPPceDft8+3pIxRmgcgLQ6pasdZCFC5yAube
ZyXFYSD4Pcj2gW0t86U6RI47NlTlyqQzjzsViTCUkVD9VNkBGs0bbpM=
-----END PRIVATE KEY-----
"""
"""Published on purpose."""
