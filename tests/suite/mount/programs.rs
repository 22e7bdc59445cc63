//! Programs that ask more of a file system than reading and writing: they watch it, run from it, mount disks in it,
//! build in it, keep databases in it.

use super::{Mounted, errno, long};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether a program is there that the short form does without.
fn have(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    let found = found.unwrap().success();
    if !found {
        eprintln!("skipped: there is no {program}");
    }
    found
}

#[test]
fn archives_are_packed_and_unpacked() {
    let mut mounted = Mounted::start();
    mounted.sh(
        "mkdir -p $T/in/deep/er $T/in/empty; cd $T/in; seq 50000 > numbers; head -c 3000000 /dev/urandom > deep/noise
        for i in $(seq 300); do echo $i > deep/er/f$i; done; echo x > 'a b \u{e9}'; : > nothing
        cd $T/in && python3 -m zipfile -c $T/out.zip * && python3 -m zipfile -c $M/bkt/in.zip *",
    );
    mounted.sh("mkdir a b; unzip -q $T/out.zip -d a; unzip -q in.zip -d b; diff -r $T/in a; diff -r a b; unzip -tq in.zip > /dev/null");
    // Once more over what is there, and out of order.
    mounted.sh("unzip -qo in.zip -d a; unzip -p in.zip deep/noise | cmp - a/deep/noise; python3 -m zipfile -e in.zip c; diff -r a c");
    mounted.restart();
    mounted.sh("diff -r $T/in a; unzip -tq in.zip > /dev/null");
}

#[test]
fn find_deletes_as_it_walks() {
    let mounted = Mounted::start();
    mounted.sh("for d in $(seq 20); do mkdir -p t/$d/s; (cd t/$d; seq -f f%g.o 60 | xargs touch; seq -f s/f%g.c 60 | xargs touch); done
        find t -name '*.o' -delete; test $(find t -type f | wc -l) = 1200; test $(find t | wc -l) = 1241
        find t -type d -empty -delete; test $(find t -type f | wc -l) = 1200
        find t -delete; test ! -e t");
}

/// What programs on the mount do, watchers on the mount are told.
#[test]
fn inotify_tells_of_local_changes() {
    let mounted = Mounted::start();
    let told = mounted.sh(
        "mkdir d; echo old > d/old; touch $T/said
        inotifywait -m --format '%e %f' -e create,modify,attrib,close_write,move,delete d > $T/seen 2> $T/said & watcher=$!
        trap 'kill $watcher' EXIT; until grep -q established $T/said; do sleep 0.02; done
        echo new > d/new; echo more >> d/old; mv d/new d/moved; mv d/moved .; mv moved d/back; chmod 600 d/old
        mkdir d/sub; ln d/old d/link; rm d/old; rmdir d/sub
        for i in $(seq 250); do if grep -q 'DELETE,ISDIR sub' $T/seen; then break; fi; sleep 0.02; done; cat $T/seen",
    );
    let want = [
        "CREATE new",
        "MODIFY new",
        "CLOSE_WRITE,CLOSE new",
        "MODIFY old",
        "CLOSE_WRITE,CLOSE old",
        "MOVED_FROM new",
        "MOVED_TO moved",
        "MOVED_FROM moved",
        "MOVED_TO back",
        "ATTRIB old",
        "CREATE,ISDIR sub",
        "CREATE link",
        "DELETE old",
        "DELETE,ISDIR sub",
    ];
    let told: Vec<&str> = told.lines().collect();
    let mut rest = told.iter();
    for line in want {
        assert!(rest.any(|told| *told == line), "{line} is not told in its turn: {told:#?}");
    }
}

/// A program and scripts run from the mount; while it runs, its file cannot be written, but replaced.
#[test]
fn programs_run_and_are_not_written_meanwhile() {
    let mounted = Mounted::versioned();
    mounted.sh("cp $(type -P sleep) prog; printf '#!/bin/sh\\necho script $1\\n' > script; chmod 755 script");
    assert_eq!(mounted.sh("./script 1; bash script 2; $M/bkt/script 3"), "script 1\nscript 2\nscript 3\n");
    let refused = mounted.try_sh("chmod 644 script; ./script");
    assert_eq!(refused.status.code(), Some(126));
    let prog = mounted.path("prog");
    let mut running = Command::new(&prog).arg("30").spawn().unwrap();
    for (read, write, truncate) in [(false, true, false), (true, true, false), (false, true, true)] {
        let opened = OpenOptions::new().read(read).write(write).truncate(truncate).open(&prog);
        assert_eq!(errno(opened), Errno::ETXTBSY, "the program: {:?}", running.try_wait());
    }
    assert_eq!(nix::unistd::truncate(&prog, 1), Err(Errno::ETXTBSY));
    mounted.sh("cp $(type -P true) new; mv new prog; ./prog");
    assert!(running.try_wait().unwrap().is_none());
    running.kill().unwrap();
    running.wait().unwrap();
    // What is open for writing cannot be run.
    let writer = OpenOptions::new().append(true).open(&prog).unwrap();
    assert_eq!(errno(Command::new(&prog).status()), Errno::ETXTBSY);
    drop(writer);
    assert!(Command::new(&prog).status().unwrap().success());
}

/// Opening a running program for reading, but cutting it, is refused before it is cut.
#[test]
fn a_running_program_is_not_cut() {
    let mounted = Mounted::start();
    mounted.sh("cp $(type -P sleep) prog");
    let prog = mounted.path("prog");
    let len = fs::metadata(&prog).unwrap().len();
    let mut running = Command::new(&prog).arg("30").spawn().unwrap();
    let cut = nix::fcntl::open(&prog, OFlag::O_RDONLY | OFlag::O_TRUNC, Mode::empty());
    let left = fs::metadata(&prog).unwrap().len();
    running.kill().unwrap();
    let killed_by = running.wait().unwrap().signal();
    assert_eq!((cut.map(drop), left, killed_by), (Err(Errno::ETXTBSY), len, Some(9)));
}

/// Hundreds of files copied and run at once: each is whole when it is run.
#[test]
fn what_was_copied_runs_at_once() {
    let mounted = Mounted::start();
    mounted.sh("true=$(type -P true); for i in $(seq 100); do cp $true p$i; ./p$i; done; seq 100 | xargs -P 8 -I{} sh -c 'cp p{} q{} && ./q{}'");
}

/// A disk image with a file system of its own in it.
#[test]
fn a_disk_image_holds_a_file_system() {
    let mut mounted = Mounted::start();
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        return eprintln!("skipped: it takes root and loop devices");
    }
    mounted.sh(
        "mkdir $T/inner $T/in; truncate -s 96M disk; mkfs.ext4 -q -F disk; test $(du -s -BM disk | cut -dM -f1) -lt 48
        head -c 20000000 /dev/urandom > $T/in/noise; for i in $(seq 500); do echo $i > $T/in/f$i; done
        mount -o loop disk $T/inner; trap 'umount -l $T/inner' EXIT
        cp -r $T/in $T/inner; cp $T/in/noise $T/inner/again; sync -f $T/inner; rm $T/inner/again; diff -r $T/in $T/inner/in
        trap - EXIT; umount $T/inner; e2fsck -fn disk > $T/said 2>&1 || { cat $T/said; exit 1; }",
    );
    let again = "e2fsck -fn disk > $T/said 2>&1 || { cat $T/said; exit 1; }
        mount -o loop disk $T/inner; trap 'umount -l $T/inner' EXIT
        diff -r $T/in $T/inner/in; rm $T/inner/in/f1; cp $T/in/f1 $T/inner/in/f1; fstrim $T/inner 2> /dev/null || true; trap - EXIT; umount $T/inner";
    mounted.restart();
    mounted.sh(again);
    mounted.sh("sync disk");
    mounted.crash();
    mounted.sh(again);
    mounted.fsck();
}

#[test]
fn cargo_builds_and_knows_what_is_built() {
    let mut mounted = Mounted::start();
    let build = "cd tiny; unset CARGO_TARGET_DIR RUSTFLAGS; cargo build --offline 2>&1; cargo run --offline -q";
    mounted.sh("cargo new -q --offline --vcs none tiny 2> /dev/null");
    let first = mounted.sh(build);
    assert!(first.contains("Compiling") && first.ends_with("Hello, world!\n"), "{first}");
    mounted.restart();
    let again = mounted.sh(build);
    assert!(!again.contains("Compiling") && again.ends_with("Hello, world!\n"), "{again}");
    mounted.sh("sed -i s/world/mount/ tiny/src/main.rs");
    let changed = mounted.sh(build);
    assert!(changed.contains("Compiling") && changed.ends_with("Hello, mount!\n"), "{changed}");
}

/// npm unpacks, links and runs what it installed; without a network.
#[test]
fn npm_installs_a_local_package() {
    if !long() || !have("npm") {
        return;
    }
    let mounted = Mounted::start();
    let said = mounted.sh(
        r#"export npm_config_cache=$M/bkt/cache npm_config_offline=true npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
        exec 2> $T/warnings
        mkdir -p tool/lib app
        printf '{"name":"tool","version":"1.0.0","bin":{"tool":"lib/run.js"},"main":"lib/index.js"}' > tool/package.json
        printf '#!/usr/bin/env node\nconsole.log(require("tool").word)' > tool/lib/run.js; echo 'exports.word = "works"' > tool/lib/index.js
        (cd tool && npm pack --silent > /dev/null); cd app; printf '{"name":"app","version":"1.0.0"}' > package.json
        npm install --silent ../tool/tool-1.0.0.tgz; npx --offline tool; npm ls --silent tool > /dev/null; npm ci --silent; npx --offline tool"#,
    );
    assert_eq!(said, "works\nworks\n");
}

/// A database server, killed if it still runs.
struct Server(PathBuf);

impl Drop for Server {
    fn drop(&mut self) {
        let pid = fs::read_to_string(&self.0).unwrap_or_default();
        if fs::read_to_string(format!("/proc/{}/comm", pid.trim())).is_ok_and(|name| name.trim() == "postgres") {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}

/// A database server under load is stopped at once, and once killed together with the mount; it recovers both times.
#[test]
fn postgres_recovers() {
    let bin = "$(ls -d /usr/lib/postgresql/*/bin | tail -1)";
    let found = Command::new("sh").args(["-c", &format!("test -x {bin}/initdb && id postgres")]).output().unwrap();
    if !long() || !found.status.success() || !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: it is of the long form, as root, where PostgreSQL is installed");
    }
    let mut mounted = Mounted::bare("allow_other,default_permissions");
    let server = Server(mounted.aside("run/postmaster"));
    mounted.sh("mkdir $M/bkt $T/run; chown postgres $M/bkt $T/run");
    let script = |script: &str| {
        format!(
            "B={bin}; D=$M/bkt/data; export PGHOST=$T/run PGUSER=postgres
            as() {{ (cd $T/run; runuser -u postgres -- \"$@\") > $T/said 2>&1 || {{ cat $T/said; exit 1; }}; }}
            start() {{
                as $B/pg_ctl -D $D -w -t 60 -l $T/run/log -o \"-k $T/run -c listen_addresses=\" start
                head -1 $D/postmaster.pid > $T/run/postmaster; }}
            # What pgbench keeps equal.
            sums() {{ $B/psql -XAtq postgres -c 'select count(*), sum(abalance) = (select sum(tbalance) from pgbench_tellers),
                sum(abalance) = (select sum(bbalance) from pgbench_branches),
                sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts'; }}
            check() {{ test \"$(sums)\" = '500000|t|t|t'; as $B/pg_amcheck --all --heapallindexed --install-missing; }}
            load() {{ (cd $T/run; runuser -u postgres -- $B/pgbench -n -c 4 -T $1 postgres > $T/load 2>&1); }}
            {script}"
        )
    };
    mounted.sh(&script(
        "as $B/initdb -D $D -A trust -k; start; as $B/pgbench -q -i -s 5 postgres; load 10; check
        (load 60 || true) & sleep 5; as $B/pg_ctl -D $D stop -m immediate; wait; start; check",
    ));
    // The disk goes under load: the server ends by itself.
    let pid = mounted.pid();
    mounted.sh(&script(&format!(
        "(load 60 || true) & sleep 5; kill -9 {pid}; wait; P=$(cat $T/run/postmaster)
        for i in $(seq 300); do if ! test -e /proc/$P; then exit; fi; sleep 0.1; done; false"
    )));
    mounted.crash();
    mounted.sh(&script("start; check; as $B/pg_ctl -D $D stop -m fast; as $B/pg_checksums -D $D"));
    mounted.restart();
    mounted.sh(&script("start; check; as $B/pg_ctl -D $D stop -m fast"));
    drop(server);
    mounted.fsck();
}
