// Second oracle: the node build of tfhe-rs, which knows no class for the whole set, loads public_key.bin and
// server_key.bin, encrypts two values with the one and writes the other again.
//
// usage: node oracle.js PUBLIC_KEY SERVER_KEY test|core|production X Y OUT
// writes OUT/ciphertext.bin and OUT/server_key.bin, prints one line of JSON

"use strict";
const fs = require("node:fs");
const path = require("node:path");

const LIMIT = 1n << 32n;

// The JS interface can name the released compact-key parameters, but cannot build others with a proof scheme:
// there the key of `test` is loaded without conformance.
function loadPublicKey(tfhe, bytes, set) {
  const { TfheCompressedCompactPublicKey: Key } = tfhe;
  if (set === "test") {
    return { key: Key.safe_deserialize(bytes, LIMIT), conformant: false };
  }
  const name = tfhe.ShortintCompactPublicKeyEncryptionParametersName.V1_7_PARAM_PKE_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128;
  const parameters = new tfhe.ShortintCompactPublicKeyEncryptionParameters(name);
  return { key: Key.safe_deserialize_conformant(bytes, LIMIT, parameters), conformant: true };
}

function main([publicPath, serverPath, set, x, y, out]) {
  if (out === undefined || !["test", "core", "production"].includes(set)) {
    console.error("usage: node oracle.js PUBLIC_KEY SERVER_KEY test|core|production X Y OUT");
    return 2;
  }
  const tfhe = require("node-tfhe"); // not at the top: a missing package is one line, too
  const publicBytes = fs.readFileSync(publicPath);
  const serverBytes = fs.readFileSync(serverPath);
  const { key, conformant } = loadPublicKey(tfhe, publicBytes, set);
  const builder = tfhe.CompactCiphertextList.builder(key.decompress());
  builder.push_u8(Number(x));
  builder.push_u8(Number(y));
  fs.mkdirSync(out, { recursive: true });
  fs.writeFileSync(path.join(out, "ciphertext.bin"), builder.build_packed().safe_serialize(LIMIT));

  const server = tfhe.TfheCompressedServerKey.safe_deserialize(serverBytes, LIMIT).safe_serialize(LIMIT);
  fs.writeFileSync(path.join(out, "server_key.bin"), server);
  const report = {
    conformant,
    public_key_same: Buffer.compare(Buffer.from(key.safe_serialize(LIMIT)), publicBytes) === 0,
    server_key_same: Buffer.compare(Buffer.from(server), serverBytes) === 0,
  };
  console.log(JSON.stringify(report));
  return report.public_key_same && report.server_key_same ? 0 : 1;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(`oracle: ${String(error.message ?? error).split("\n")[0]}`);
  process.exitCode = 1;
}
