"""The AWS double: KMS, S3 and STS on this machine, as strict as AWS where the ceremony depends on it."""
