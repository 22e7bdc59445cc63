#!/usr/bin/env bash
# Installs Keyfold: the program, the helper of mount(8), the systemd unit, shell completions and the manual page.
#
#     mount-scripts/install.sh [--prefix DIR] [--destdir DIR] [--binary FILE]
#     mount-scripts/install.sh [--prefix DIR] [--destdir DIR] --uninstall
#
# --prefix is /usr/local unless named (or PREFIX is set); --destdir is put before every path, for packagers. Without
# --binary the program is built in the release profile first.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$scripts/say.sh"

prefix=${PREFIX:-/usr/local}
destdir=${DESTDIR:-}
binary=
uninstall=0
usage() {
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit "$1"
}
while [ "$#" -gt 0 ]; do
    case $1 in
    --prefix | --destdir | --binary)
        [ "$#" -ge 2 ] || usage 2
        declare "${1#--}=$2"
        shift
        ;;
    --uninstall) uninstall=1 ;;
    -h | --help) usage 0 ;;
    *) usage 2 ;;
    esac
    shift
done
case $prefix in
/*) prefix=${prefix%/} ;;
*) fail "the prefix $prefix is not absolute" "it is written into the helper and the unit" "--prefix $PWD/$prefix" ;;
esac
destdir=${destdir%/}
manifest=$prefix/share/keyfold/manifest

# The nearest directory that exists must let us write, or every later step would fail half way.
need_to_write() {
    local dir=$destdir$prefix
    while [ ! -e "$dir" ]; do dir=$(dirname "$dir"); done
    if [ ! -w "$dir" ]; then
        fail "cannot write to $dir" "it belongs to another user" "sudo $0 --prefix $prefix${binary:+ --binary $binary}"
    fi
}

reload_systemd() {
    if [ -z "$destdir" ] && [ -d /run/systemd/system ] && [ "$(id -u)" -eq 0 ]; then systemctl daemon-reload || true; fi
}

# `record PATH`: what was put at PATH (without destdir) will be taken away again.
record() {
    printf '%s\n' "$1" >>"$destdir$manifest"
    note "$destdir$1"
}

# `put MODE FILE PATH`: copies a file, with the directory of the program filled in.
put() {
    local mode=$1 file=$2 path=$3
    mkdir -p "$destdir$(dirname "$path")"
    sed "s|@BINDIR@|$prefix/bin|g" "$file" >"$destdir$path.new"
    chmod "$mode" "$destdir$path.new"
    mv -f "$destdir$path.new" "$destdir$path"
    record "$path"
}

# `put_output PATH COMMAND...`: what the command prints; nothing when it cannot.
put_output() {
    local path=$1
    shift
    mkdir -p "$destdir$(dirname "$path")"
    if "$@" >"$destdir$path.new" && [ -s "$destdir$path.new" ]; then
        chmod 644 "$destdir$path.new"
        mv -f "$destdir$path.new" "$destdir$path"
        record "$path"
    else
        rm -f "$destdir$path.new"
        note "left out, since the program did not print it: $destdir$path"
    fi
}

link_helper() {
    # mount(8) looks in /sbin only. A prefix of /usr is /sbin itself on every system with one tree.
    if [ "$prefix" != /usr/local ]; then
        if [ "$prefix" != /usr ]; then
            note "mount -t keyfold needs, as root: ln -s $prefix/sbin/mount.keyfold /sbin/"
        fi
        return
    fi
    mkdir -p "$destdir/sbin"
    for name in mount.keyfold mount.fuse.keyfold; do
        ln -sfn "$prefix/sbin/mount.keyfold" "$destdir/sbin/$name"
        record "/sbin/$name"
    done
}

take_away() {
    local path
    if [ ! -f "$destdir$manifest" ]; then
        fail "nothing is installed below $destdir$prefix" "there is no $destdir$manifest" "name the prefix: $0 --prefix DIR --uninstall"
    fi
    need_to_write
    while IFS= read -r path; do
        rm -f -- "$destdir$path"
        note "$destdir$path"
    done <"$destdir$manifest"
    rm -f -- "$destdir$manifest"
    rmdir -- "$destdir$prefix/share/keyfold" 2>/dev/null || true
    reload_systemd
    note "stores and mounts were left alone"
}

if [ "$uninstall" -eq 1 ]; then
    say "Taking Keyfold away from $destdir$prefix"
    take_away
    exit 0
fi

if [ -z "$binary" ]; then
    say "Building keyfold"
    "$scripts/deps.sh" build
    # shellcheck source=mount-scripts/env.sh
    . "$scripts/env.sh"
    cargo build --release --locked --manifest-path "$scripts/../Cargo.toml" >&2 ||
        fail "keyfold does not build" "cargo's messages are above" "name a program that is built: $0 --binary FILE"
    binary=$CARGO_TARGET_DIR/release/keyfold
fi
[ -x "$binary" ] || fail "cannot install $binary" "it is not there, or no program" "$0 --binary FILE"
binary=$(realpath -- "$binary")
need_to_write

say "Installing into $destdir$prefix"
# What an earlier version put and this one does not is taken away first.
if [ -f "$destdir$manifest" ]; then take_away >/dev/null 2>&1; fi
mkdir -p "$destdir$prefix/bin" "$(dirname "$destdir$manifest")"
: >"$destdir$manifest"
# A new file, since the old one may be running.
cp -f -- "$binary" "$destdir$prefix/bin/keyfold.new"
chmod 755 "$destdir$prefix/bin/keyfold.new"
mv -f "$destdir$prefix/bin/keyfold.new" "$destdir$prefix/bin/keyfold"
record "$prefix/bin/keyfold"
if [ "$(uname -s)" = Darwin ]; then
    put 644 "$scripts/org.keyfold.mount.plist" "$prefix/share/keyfold/org.keyfold.mount.plist"
else
    put 755 "$scripts/mount.keyfold" "$prefix/sbin/mount.keyfold"
    ln -sfn mount.keyfold "$destdir$prefix/sbin/mount.fuse.keyfold"
    record "$prefix/sbin/mount.fuse.keyfold"
    link_helper
    put 644 "$scripts/keyfold@.service" "$prefix/lib/systemd/system/keyfold@.service"
    put 644 "$scripts/srv-keyfold.mount" "$prefix/share/keyfold/srv-keyfold.mount"
fi
put_output "$prefix/share/bash-completion/completions/keyfold" "$binary" completions bash
put_output "$prefix/share/zsh/site-functions/_keyfold" "$binary" completions zsh
put_output "$prefix/share/fish/vendor_completions.d/keyfold.fish" "$binary" completions fish
put_output "$prefix/share/man/man1/keyfold.1" "$binary" man
reload_systemd
note "take it away with: $0 --prefix $prefix --uninstall"
