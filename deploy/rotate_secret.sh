#!/bin/sh
# Makes a new secret where deploy/make_secrets.sh made the old one; docs/upgrading.md says what to restart when.
# deploy/rotate_secret.sh secret_key|s3|broker|database|finish [FOLDER]      (default: deploy/secrets beside this script)
#   secret_key  the new key signs, the last one is still believed
#   s3, broker  the new ones are used, the old ones still let in until `finish`
#   database    prints the statement that changes the password in the server
#   finish      lets go of every old one
set -eu

what=${1:-}
folder=${2:-"$(dirname "$0")/secrets"}
umask 022

word() { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
# Written beside and moved: nobody ever reads half a secret.
put() { printf '%s' "$2" >"$folder/.$1.new" && mv "$folder/.$1.new" "$folder/$1"; }
is_there() { [ -s "$folder/$1" ] || { echo "There is no $folder/$1: run deploy/make_secrets.sh first." >&2; exit 2; }; }
credential() { printf '{"accessKey": "%s", "secretKey": "%s"}' "$1" "$2"; }
identities() {
    put s3_identities "{\"identities\": [{\"name\": \"voicesketch\",
  \"credentials\": [$1],
  \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"]}]}
"
}
# valkey PASSWORDS: each one as Valkey wants it in a line of its ACL
valkey() {
    is_there valkey_conf
    put valkey_conf "$(sed "s|^user voicesketch on .* ~\*|user voicesketch on $1 ~*|" "$folder/valkey_conf")
"
}

case $what in
secret_key)
    is_there secret_key
    put secret_key "$(word)
$(head -n 1 "$folder/secret_key")"
    echo "Restart the dashboards. Sessions of before last until you run: $0 finish" >&2
    ;;
s3)
    is_there s3_access_key && is_there s3_secret_key
    old=$(credential "$(cat "$folder/s3_access_key")" "$(cat "$folder/s3_secret_key")")
    access=$(word | cut -c1-20)
    secret=$(word)
    identities "$(credential "$access" "$secret"), $old"
    put s3_access_key "$access"
    put s3_secret_key "$secret"
    echo "Restart the store, then everything else, then run: $0 finish" >&2
    ;;
broker)
    is_there valkey_password
    old=$(cat "$folder/valkey_password")
    new=$(word)
    valkey ">$new >$old"
    put valkey_password "$new"
    put broker_url "redis://voicesketch:$new@valkey:6379/0"
    echo "Restart the broker, then everything else, then run: $0 finish" >&2
    ;;
database)
    is_there postgres_password
    new=$(word)
    put postgres_password "$new"
    put database_url "postgresql://voicesketch:$new@postgres:5432/voicesketch"
    echo "Give the server this statement, then restart everything but the server:" >&2
    echo "ALTER ROLE voicesketch PASSWORD '$new';"
    ;;
finish)
    is_there secret_key && is_there s3_access_key && is_there valkey_password
    put secret_key "$(head -n 1 "$folder/secret_key")"
    identities "$(credential "$(cat "$folder/s3_access_key")" "$(cat "$folder/s3_secret_key")")"
    valkey ">$(cat "$folder/valkey_password")"
    echo "Restart store, broker and dashboards: what was in use before opens nothing any more." >&2
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
