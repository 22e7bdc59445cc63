//! Ordinary programs on a mount: git, sqlite, editors, find, du, sed; none leaves litter in the history.

use super::{Mounted, names_in};
use std::fs;

#[test]
fn git_clones_commits_and_checks() {
    let mounted = Mounted::start();
    mounted.sh("
        export GIT_CONFIG_GLOBAL=$T/gitconfig GIT_CONFIG_NOSYSTEM=1
        git config --global user.email a@b && git config --global user.name A && git config --global init.defaultBranch main
        git init -q $T/origin && cd $T/origin
        for i in $(seq 200); do mkdir -p d$((i % 9)); echo text $i > d$((i % 9))/f$i; done
        git add -A && git commit -qm one
        cd $M/bkt && git clone -q $T/origin work && cd work && git fsck --strict --no-progress
        echo more >> d1/f1 && git mv d2/f2 moved && git commit -qam two && git fsck --strict --no-progress
        git gc -q && git fsck --strict --no-progress && test -z \"$(git status --porcelain)\"
        git clone -q . ../second && diff -r --exclude=.git . ../second
        git checkout -q -b side HEAD~1 && git checkout -q main && git -C $T/origin pull -q $M/bkt/work main");
    let diff = mounted.sh("diff -r --exclude=.git $T/origin work");
    assert_eq!(diff, "");
}

#[test]
fn sqlite_keeps_its_integrity_in_both_journal_modes() {
    let mut mounted = Mounted::start();
    for mode in ["delete", "wal"] {
        mounted.sh(&format!(
            "sqlite3 {mode}.db 'pragma journal_mode={mode}; create table t(a integer primary key, b blob);
             with recursive n(i) as (values(1) union all select i+1 from n where i<3000)
             insert into t select i, randomblob(300) from n; delete from t where a % 3 = 0; update t set b = zeroblob(700) where a % 5 = 0;'"
        ));
    }
    mounted.restart();
    for mode in ["delete", "wal"] {
        let said = mounted.run("sqlite3", &[&format!("{mode}.db"), "pragma integrity_check; select count(*) from t;"]);
        assert_eq!(said, "ok\n2000\n");
    }
}

/// Four writers of one database: their locks are the kernel's.
#[test]
fn sqlite_writers_take_turns() {
    let mounted = Mounted::start();
    mounted.sh("sqlite3 a.db 'create table t(a)'
        for w in 1 2 3 4; do (for i in $(seq 10); do sqlite3 -cmd '.timeout 20000' a.db \"insert into t values($w)\"; done) & done; wait");
    assert_eq!(mounted.sh("sqlite3 a.db 'select count(*) from t; pragma integrity_check'"), "40\nok\n");
}

/// What editors do: a temporary name, then rename over the file. The file gets a version, the temporary name none.
#[test]
fn saving_by_rename_leaves_no_litter() {
    let mounted = Mounted::versioned();
    mounted.sh("echo one > a.txt; chmod 600 a.txt
        sed -i s/one/two/ a.txt
        echo three > .a.txt.swp; mv .a.txt.swp a.txt
        rsync -a $T/stderr b.txt; echo four > $T/four; rsync -a $T/four a.txt
        printf '%s\\n' 's/four/five/' w q | ed -s a.txt");
    assert_eq!(mounted.sh("cat a.txt; stat -c %a b.txt"), "five\n644\n");
    assert_eq!(names_in(&mounted.path(".versions")), ["a.txt", "b.txt"]);
    let bytes: Vec<_> =
        mounted.versions("a.txt").iter().map(|v| fs::read(mounted.version("a.txt", v)).unwrap()).collect();
    assert_eq!(bytes, [&b"five\n"[..], b"four\n", b"three\n", b"two\n", b"one\n"]);
}

#[test]
fn vim_saves_in_each_of_its_ways() {
    let mounted = Mounted::versioned();
    mounted.sh("echo one > a.txt");
    for (how, word) in [("backupcopy=no", "two"), ("backupcopy=yes", "three")] {
        let script = format!(
            "vim -Nu NONE -i NONE -es -c 'set {how} backup writebackup swapfile' -c '%s/.*/{word}/' -c 'wq' a.txt < /dev/null"
        );
        mounted.try_sh(&script);
        assert_eq!(fs::read_to_string(mounted.path("a.txt")).unwrap(), format!("{word}\n"), "{how}");
    }
    let names = names_in(&mounted.path(""));
    assert!(names.iter().all(|name| name.starts_with("a.txt")), "{names:?}");
    let now = mounted.versions("a.txt");
    assert!(now.len() >= 3, "{now:?}");
    assert_eq!(fs::read(mounted.version("a.txt", now.last().unwrap())).unwrap(), b"one\n");
}

#[test]
fn sed_keeps_the_mode_and_the_one_name() {
    let mounted = Mounted::versioned();
    mounted.sh("echo one > s; chmod 640 s; sed -i.bak s/one/two/ s");
    assert_eq!(mounted.sh("cat s s.bak; stat -c %a s"), "two\none\n640\n");
    assert_eq!(names_in(&mounted.path(".versions")), ["s", "s.bak"]);
}

/// Hidden names are found when asked for, and never by those who walk.
#[test]
fn who_walks_a_tree_meets_no_hidden_names() {
    let mounted = Mounted::versioned();
    mounted
        .sh("mkdir -p a/b; echo 1 > a/b/c; echo 2 > a/b/c; test -d .versions; test -d a/b/.versions; test -d .keyfold");
    assert_eq!(mounted.sh("find . | sort"), ".\n./a\n./a/b\n./a/b/c\n");
    assert_eq!(mounted.sh("find . -name c -newermt '-1 hour' -size -2k -type f -user 0"), "./a/b/c\n");
    assert_eq!(mounted.sh("ls -A . a/b"), ".:\na\n\na/b:\nc\n");
    let inside = mounted.sh("cd a/b/.versions/c; pwd; ls | wc -l");
    assert!(inside.ends_with("a/b/.versions/c\n2\n"), "{inside}");
    mounted.sh("rm -rf a");
    assert_eq!(mounted.sh("ls -A"), "");
}

#[test]
fn du_counts_stored_bytes() {
    let mounted = Mounted::start();
    mounted.sh("head -c 3000000 /dev/urandom > a; truncate -s 1G hole; mkdir d; cp a d/b");
    let apparent: u64 = mounted.sh("du -sb --apparent-size . | cut -f1").trim().parse().unwrap();
    assert!(apparent > 1 << 30, "{apparent}");
    let stored: u64 = mounted.sh("du -s -B1 . | cut -f1").trim().parse().unwrap();
    assert!((3_000_000..16 << 20).contains(&stored), "{stored}");
}

/// A build: thousands of small reads and writes, programs run from the mount.
#[test]
fn make_and_run_a_program() {
    let mounted = Mounted::start();
    mounted.sh(r#"
        for i in $(seq 6); do echo "int f$i(void) { return $i; }" > f$i.c; done
        printf '#include <stdio.h>\nint f1(void);int f6(void);\nint main(void){ printf("%%d\\n", f1() + f6()); return 0; }\n' > m.c
        gcc -c f*.c m.c && ar rc libf.a f*.o && gcc -o prog m.o libf.a"#);
    assert_eq!(mounted.sh("./prog"), "7\n");
}
