# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by mount.sh and s3.sh, which set $scratch: what both need, and the other file systems, each at $scratch/SIDE, with all it keeps in
# $scratch/below-SIDE and what it says in $scratch/SIDE.log. For each side one function makes it, once, and one mounts
# it. Every server listens on 127.0.0.1 alone.

# The short form, and what --long adds.
short_sides=(bindfs gocryptfs)
long_sides=(juicefs seaweedfs s3fs rclone)
declare -A programs=([bindfs]=bindfs [gocryptfs]=gocryptfs [juicefs]=juicefs [seaweedfs]=weed [s3fs]="s3fs weed"
    [rclone]="rclone weed")

# Ports of the servers; 10,000 more is each one's second port.
MASTER=19433 VOLUME=19440 FILER=19488 S3=19443
# A key that opens nothing but the S3 door of this run.
KEY=bench-key SECRET=bench-secret

# Processes that were started here, by name.
declare -A pids=()

# `usage STATUS`: what the script says of itself at its beginning.
usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit "$1"
}

# Sets $keyfold, the binary to measure.
need_keyfold() {
    local target=${CARGO_TARGET_DIR:-${KEYFOLD_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/keyfold}/target}
    keyfold=${KEYFOLD:-}
    if [ -z "$keyfold" ] && [ -x "$target/release/keyfold" ]; then keyfold=$target/release/keyfold; fi
    if [ -z "$keyfold" ]; then keyfold=$(command -v keyfold || true); fi
    [ -n "$keyfold" ] || fail "there is no keyfold to measure" "neither a release build nor one in PATH" \
        "cargo build --release, or KEYFOLD=PATH $0"
}

# How much the machine has to do.
busy() { cut -d ' ' -f 1-3 /proc/loadavg; }

mounted() { grep -qF " ${1// /\\040} " /proc/self/mountinfo; }

unmount() {
    mounted "$1" || return 0
    timeout 60 fusermount3 -u "$1" 2>/dev/null || timeout 60 umount "$1" 2>/dev/null ||
        fusermount3 -uz "$1" 2>/dev/null || umount -l "$1"
}

# `within SECONDS COMMAND...`: waits until the command says yes.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= until)); then return 1; fi
        sleep 0.05
    done
}

# `start NAME COMMAND...`: what stays in the foreground.
start() {
    local name=$1
    shift
    TMPDIR=$scratch/tmp "$@" </dev/null >>"$scratch/$name.log" 2>&1 &
    pids[$name]=$!
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# `stop NAME`: ends what was started.
stop() {
    local pid=${pids[$1]:-}
    [ -n "$pid" ] || return 0
    kill "$pid" 2>/dev/null || true
    within 10 gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    unset "pids[$1]"
}

# `lower SIDE`: unmounts it. Some still upload then, and end by themselves.
lower() {
    if mounted "$scratch/$1"; then
        unmount "$scratch/$1"
        within 60 gone "${pids[$1]:-}" || true
    fi
    stop "$1"
}

# `serve SIDE COMMAND...`: starts a process that mounts; whether the mount came and answers.
serve() {
    local side=$1
    start "$@"
    if within 30 mounted "$scratch/$side" && within 30 timeout 5 ls "$scratch/$side"; then return; fi
    lower "$side"
    return 1
}

make_bindfs() { :; }
mount_bindfs() { serve bindfs bindfs -f "$scratch/below-bindfs" "$scratch/bindfs"; }

make_gocryptfs() {
    echo bench >"$scratch/password"
    gocryptfs -init -q -scryptn 10 -passfile "$scratch/password" "$scratch/below-gocryptfs"
}
mount_gocryptfs() {
    serve gocryptfs gocryptfs -fg -q -passfile "$scratch/password" "$scratch/below-gocryptfs" "$scratch/gocryptfs"
}

make_juicefs() {
    mkdir "$scratch/below-juicefs"/{data,cache}
    juicefs format "sqlite3://$scratch/below-juicefs/meta.db" bench --trash-days 0 --storage file \
        --bucket "$scratch/below-juicefs/data/" >"$scratch/juicefs.log" 2>&1
}
mount_juicefs() {
    serve juicefs juicefs mount "sqlite3://$scratch/below-juicefs/meta.db" "$scratch/juicefs" --no-usage-report \
        --hide-internal --no-syslog --backup-meta 0 --cache-dir "$scratch/below-juicefs/cache"
}

make_seaweedfs() { need_weed; }
mount_seaweedfs() {
    serve seaweedfs weed mount "-filer=127.0.0.1:$FILER" -filer.path=/seaweedfs "-dir=$scratch/seaweedfs" \
        "-cacheDir=$scratch/below-seaweedfs" "-localSocket=$scratch/weed-mount.sock"
}

make_s3fs() {
    need_weed || return 1
    (umask 077 && echo "$KEY:$SECRET" >"$scratch/s3fs.key")
    weed_shell "s3.bucket.create -name s3fs"
}
mount_s3fs() {
    serve s3fs s3fs s3fs "$scratch/s3fs" -f -o "url=http://127.0.0.1:$S3,use_path_request_style" \
        -o "passwd_file=$scratch/s3fs.key,tmpdir=$scratch/below-s3fs"
}

make_rclone() {
    need_weed || return 1
    weed_shell "s3.bucket.create -name rclone"
}
mount_rclone() {
    # It takes no bundle of certificates, and needs none here.
    RCLONE_CONFIG=/dev/null serve rclone env -u AWS_CA_BUNDLE rclone mount \
        --vfs-cache-mode writes --cache-dir "$scratch/below-rclone" \
        ":s3,provider=Other,endpoint='http://127.0.0.1:$S3',access_key_id=$KEY,secret_access_key=$SECRET:rclone" \
        "$scratch/rclone"
}

weed_shell() { TMPDIR=$scratch/tmp weed shell "-master=127.0.0.1:$MASTER" <<<"$1" >>"$scratch/weed.log" 2>&1; }

# SeaweedFS's servers, of which s3fs and rclone use the S3 door.
need_weed() {
    if [ -z "${pids[weed]:-}" ]; then start_weed; fi
    # Had somebody else its ports, it would have ended.
    within 60 answers "$S3" && within 60 weed_shell "fs.mkdir /seaweedfs" && ! gone "${pids[weed]}"
}

answers() { (: <"/dev/tcp/127.0.0.1/$1"); }

start_weed() {
    mkdir "$scratch/below-weed"
    cat >"$scratch/s3.json" <<END
{"identities": [{"name": "bench", "actions": ["Admin"],
    "credentials": [{"accessKey": "$KEY", "secretKey": "$SECRET"}]}]}
END
    start weed weed server "-dir=$scratch/below-weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        "-master.port=$MASTER" -master.telemetry=false -master.volumeSizeLimitMB=1024 \
        "-volume.port=$VOLUME" -volume.max=0 \
        -filer "-filer.port=$FILER" "-filer.localSocket=$scratch/weed-filer.sock" \
        -s3 "-s3.port=$S3" "-s3.config=$scratch/s3.json" -s3.port.iceberg=0 -s3.port.lance=0
}

stop_weed() {
    [ -n "${pids[weed]:-}" ] || return 0
    stop weed
    # Some of its sockets have a place of their own.
    rm -f /tmp/seaweedfs-{master-grpc-$((MASTER + 10000)),volume-grpc-$((VOLUME + 10000))}.sock \
        /tmp/seaweedfs-{s3-grpc-$((S3 + 10000)),s3-$S3}.sock
}

# `raise SIDE`: makes it and mounts it, if it is installed and works.
raise() {
    local side=$1 program
    for program in ${programs[$side]}; do
        if ! have "$program"; then
            note "without $program there is no $side to compare with"
            return 1
        fi
    done
    mkdir "$scratch/$side" "$scratch/below-$side"
    if "make_$side" && "mount_$side"; then return; fi
    note "$side is left out, it could not be mounted: $(tail -n 2 "$scratch/$side.log" 2>/dev/null || true)"
    return 1
}
