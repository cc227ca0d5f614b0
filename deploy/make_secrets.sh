#!/bin/sh
# Makes the passwords and keys that docker-compose.yml wants, once: what is there already stays as it is.
# deploy/make_secrets.sh [FOLDER]      (default: deploy/secrets beside this script)
set -eu

folder=${1:-"$(dirname "$0")/secrets"}
# Compose hands each file to a container as it is, and containers run under numbers of their own: the files can be
# read by all, and the folder that they lie in by its owner alone.
umask 022
mkdir -p "$folder"
chmod 700 "$folder"

word() { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
# keep NAME VALUE
keep() { [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }

keep postgres_password "$(word)"
keep valkey_password "$(word)"
keep admin_password "$(word | cut -c1-24)"
keep s3_access_key "$(word | cut -c1-20)"
keep s3_secret_key "$(word)"
keep secret_key "$(word)"

keep database_url "postgresql://voicesketch:$(cat "$folder/postgres_password")@postgres:5432/voicesketch"
keep broker_url "redis://voicesketch:$(cat "$folder/valkey_password")@valkey:6379/0"
keep valkey_conf "port 6379
dir /data
protected-mode yes
user default off
user voicesketch on >$(cat "$folder/valkey_password") ~* &* +@all -@dangerous +info
appendonly yes
appendfsync everysec
save \"\"
maxmemory-policy noeviction
tcp-keepalive 60
"
keep s3_identities "{\"identities\": [{\"name\": \"voicesketch\",
  \"credentials\": [{\"accessKey\": \"$(cat "$folder/s3_access_key")\", \"secretKey\": \"$(cat "$folder/s3_secret_key")\"}],
  \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"]}]}
"
echo "Secrets are in $folder. Keep them: the data cannot be read without them." >&2
