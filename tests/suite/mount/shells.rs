//! What a shell does with a file is one version: redirections, appends, several writers.

use super::{Mounted, names_in};
use std::fs;
use std::io::Write;

#[test]
fn one_redirection_is_one_version() {
    let mounted = Mounted::versioned();
    mounted.sh("(echo a; cat /dev/null; echo b; sh -c 'echo c') > f");
    assert_eq!(mounted.versions("f").len(), 1);
    mounted.sh("{ echo d; (sleep 0.3; echo e) & wait; } > f");
    assert_eq!(mounted.versions("f").len(), 2);
    assert_eq!(mounted.sh("cat f"), "d\ne\n");
    mounted
        .sh("echo f >> f; printf g | tee -a f > /dev/null; dd if=/dev/zero of=f bs=1 count=1 conv=notrunc status=none");
    assert_eq!(mounted.versions("f").len(), 5);
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"\0\ne\nf\ng");
}

#[test]
fn two_writers_at_once_make_one_version() {
    let mounted = Mounted::versioned();
    mounted.sh("exec 3>f; exec 4>>f; echo one >&3; echo two >&4; exec 3>&-; echo three >&4; exec 4>&-");
    assert_eq!(mounted.sh("cat f"), "one\ntwo\nthree\n");
    assert_eq!(mounted.versions("f").len(), 1);
    assert_eq!(fs::read(mounted.version("f", &mounted.versions("f")[0])).unwrap(), b"one\ntwo\nthree\n");
}

#[test]
fn appends_of_many_processes_all_stay() {
    let mounted = Mounted::start();
    mounted.sh("for w in $(seq 8); do (for i in $(seq 50); do echo $w-$i; done >> log) & done; wait");
    assert_eq!(mounted.sh("sort -u log | wc -l; wc -l < log"), "400\n400\n");
}

/// The bytes that `close` published stay in sight of others while a session goes on.
#[test]
fn a_close_publishes_and_the_session_goes_on() {
    let mounted = Mounted::versioned();
    mounted.sh("exec 3>f; echo one >&3; (echo two >&3)
        test $(ls .versions/f | wc -l) = 1; cat .versions/f/* > $T/mid; echo three >&3");
    let mid = fs::read(mounted.aside("mid")).unwrap();
    assert!(mid == b"one\n" || mid == b"one\ntwo\n", "{mid:?}");
    assert_eq!(mounted.versions("f").len(), 1);
    assert_eq!(mounted.sh("cat .versions/f/*"), "one\ntwo\nthree\n");
}

/// FSX-1: what was closed is a version, though a copy of the descriptor lives on.
#[test]
fn who_comes_after_the_last_close_makes_a_version_of_their_own() {
    let mounted = Mounted::versioned();
    mounted.sh("exec 3>f; (echo one >&3); echo two > f; echo three >> f; truncate -s 3 f");
    assert_eq!(
        mounted.sh("for v in $(ls .versions/f); do cat .versions/f/$v; echo ,; done"),
        "one\n,\ntwo\n,\ntwo\nthree\n,\ntwo,\n"
    );
    // What is written through the copy goes on with the session: who opens then joins it.
    let mut copy = fs::File::create(mounted.path("g")).unwrap();
    drop(copy.try_clone().unwrap());
    copy.write_all(b"one\n").unwrap();
    let mut other = fs::OpenOptions::new().append(true).open(mounted.path("g")).unwrap();
    other.write_all(b"two\n").unwrap();
    drop(other);
    assert_eq!(mounted.versions("g").len(), 1);
    assert_eq!(mounted.sh("cat g"), "one\ntwo\n");
}

#[test]
fn noclobber_and_temporary_files_are_exclusive() {
    let mounted = Mounted::start();
    mounted.sh("set -C; echo a > f; ! (echo b > f) 2> /dev/null; mktemp -p . tmp.XXXXXX; mktemp -d -p .");
    assert_eq!(mounted.sh("cat f"), "a\n");
    assert_eq!(names_in(&mounted.path("")).len(), 3);
    mounted.sh("seq 40 | xargs -P 8 -I{} sh -c 'mkdir lock 2> /dev/null && echo won || true' > $T/winners; test $(wc -l < $T/winners) = 1");
}

#[test]
fn pipes_and_sockets_work_by_name() {
    let mut mounted = Mounted::start();
    mounted.sh("mkfifo p; (cat p > $T/out) & echo through > p; wait; test -p p; mknod n c 1 3; test -c n
        python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"s\"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect(\"s\")'; test -S s");
    assert_eq!(fs::read(mounted.aside("out")).unwrap(), b"through\n");
    mounted.restart();
    mounted.sh("test -p p; test -S s; test -c n; test \"$(stat -c %t,%T n)\" = 1,3");
}
