//! A mount that is to end while its store is checked, copied or compacted: it ends, nobody waits for that work, and nothing is
//! lost. Reads of the process are made slow (`strace`, root), so that work which is not given up goes on for minutes.

use super::harness::KEYFOLD;
use super::{Mounted, long, pattern, text};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Files before two thirds of them are deleted, and bytes of each.
const FILES: u64 = 450;
const LEN: usize = 60_000;
/// Microseconds that each read takes: checking or copying all of it takes more than a minute.
const READ: &str = "300000";
/// How long work may take to begin, and how long the end may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
enum Work {
    Fsck,
    Repair,
    Scrub,
    Gc,
    Backup,
    Compaction,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Umount,
    Sigterm,
    Replace,
}

/// Calls of a process take long, until this is dropped or the process has ended.
pub(super) struct Slow(Child);

impl Slow {
    fn start(mounted: &Mounted) -> Self {
        Self::calls(mounted.pid(), &["-f"], "pread64,preadv", &format!("delay_enter={READ}"))
    }

    /// These calls of a process, with `-f` of all its threads.
    #[track_caller]
    pub(super) fn calls(id: u32, whose: &[&str], calls: &str, how: &str) -> Self {
        let mut strace = Command::new("strace");
        strace.args(whose).args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        strace.args(["-e", &format!("inject={calls}:{how}"), "-p", &id.to_string()]);
        let child = strace.stdin(Stdio::null()).spawn().unwrap();
        let tracer = format!("TracerPid:\t{}", child.id());
        let status = format!("/proc/{id}/status");
        wait_until("strace is attached", || fs::read_to_string(&status).unwrap().contains(&tracer));
        Self(child)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // Asked to end, it waits for ever for threads of a process that is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// A command that has the process work, from outside of the mount.
fn begin(mounted: &Mounted, args: &[&str]) -> Child {
    let mut command = Command::new(KEYFOLD);
    command.args(args).env("KEYFOLD_STORE", mounted.store()).current_dir(mounted.aside(""));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What a command says that must end well.
#[track_caller]
fn done(mounted: &Mounted, args: &[&str]) -> String {
    let output = mounted.keyfold_aside(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn name(n: u64) -> String {
    format!("f{n}")
}

fn is_kept(n: &u64) -> bool {
    n.is_multiple_of(3)
}

fn run(work: Work, end: End) {
    let mut mounted = Mounted::start();
    mounted.umount();
    let settings = "[log]\nsegment_size = '1MiB'\n[care]\nscrub_every = 'off'\n";
    fs::write(mounted.store().join("keyfold.toml"), settings).unwrap();
    mounted.restart();
    let store = mounted.store().to_str().unwrap().to_owned();
    done(&mounted, &["gc", "--pause", &store]);
    (0..FILES).for_each(|n| fs::write(mounted.path(&name(n)), pattern(n, LEN)).unwrap());
    mounted.sh("sync f0");
    if matches!(work, Work::Gc | Work::Compaction) {
        (0..FILES).filter(|n| !is_kept(n)).for_each(|n| fs::remove_file(mounted.path(&name(n))).unwrap());
        mounted.sh("sync f0");
    }
    let slow = Slow::start(&mounted);
    let backup = mounted.aside("backup");
    let mut caller = match work {
        Work::Fsck => Some(begin(&mounted, &["fsck", &store])),
        Work::Repair => Some(begin(&mounted, &["fsck", "--repair", &store])),
        Work::Scrub => Some(begin(&mounted, &["scrub", &store])),
        Work::Gc => Some(begin(&mounted, &["gc", &store])),
        Work::Backup => Some(begin(&mounted, &["backup", &store, backup.to_str().unwrap()])),
        Work::Compaction => {
            done(&mounted, &["gc", "--resume", &store]);
            None
        }
    };
    if caller.is_none() {
        wait_until("compaction runs", || {
            done(&mounted, &["status", "--json", &store]).contains("\"compaction\":\"running\"")
        });
    }
    std::thread::sleep(Duration::from_millis(700));
    if let Some(caller) = &mut caller {
        assert_eq!(caller.try_wait().unwrap(), None, "{work:?} does not take long enough");
    }
    let since = Instant::now();
    let root = mounted.root();
    let root = root.to_str().unwrap();
    let mut ending = match end {
        End::Umount => begin(&mounted, &["umount", root]),
        End::Sigterm => Command::new("kill").arg(mounted.pid().to_string()).spawn().unwrap(),
        End::Replace => begin(&mounted, &["mount", "--replace", &store, root]),
    };
    wait_until("the command that ends it returns", || ending.try_wait().unwrap().is_some());
    assert!(ending.wait().unwrap().success(), "{work:?} {end:?}");
    let process = format!("/proc/{}/stat", mounted.pid());
    let is_gone =
        || fs::read_to_string(&process).is_ok_and(|stat| stat.contains(") Z ")) || fs::metadata(&process).is_err();
    wait_until(&format!("the process is gone, {work:?} {end:?}"), is_gone);
    if let Some(mut caller) = caller {
        wait_until("whoever waited for the work is told", || caller.try_wait().unwrap().is_some());
    }
    println!("{work:?} {end:?}: {:?}", since.elapsed());
    drop(slow);
    mounted.gone();
    if end == End::Replace {
        done(&mounted, &["umount", root]);
    }
    mounted.restart();
    let kept = |n: &u64| is_kept(n) || !matches!(work, Work::Gc | Work::Compaction);
    for n in (0..FILES).filter(kept) {
        assert!(fs::read(mounted.path(&name(n))).unwrap() == pattern(n, LEN), "{n}");
    }
    mounted.fsck();
}

/// In the short form one way to end, in the long form each.
fn while_it_works(work: Work, short: End) {
    let all = [End::Umount, End::Sigterm, End::Replace];
    all.into_iter().filter(|end| long() || *end == short).for_each(|end| run(work, end));
}

#[test]
fn while_it_is_checked() {
    while_it_works(Work::Fsck, End::Umount);
}

#[test]
fn while_it_is_repaired() {
    while_it_works(Work::Repair, End::Sigterm);
}

#[test]
fn while_it_is_scrubbed() {
    while_it_works(Work::Scrub, End::Sigterm);
}

#[test]
fn while_it_is_copied() {
    while_it_works(Work::Backup, End::Replace);
}

#[test]
fn while_room_is_reclaimed() {
    while_it_works(Work::Gc, End::Replace);
}

#[test]
fn while_it_compacts() {
    while_it_works(Work::Compaction, End::Umount);
}

/// A mount that goes when this is dropped, whoever serves it.
struct Second(PathBuf);

impl Drop for Second {
    fn drop(&mut self) {
        super::harness::detach(&self.0);
    }
}

/// The kernel has mounted, and its process does not know yet, when the process is about to end.
fn while_another_is_made(end: End) {
    let mut mounted = Mounted::start();
    mounted.sh("echo kept >f; sync f");
    let (store, root, second) = (mounted.store(), mounted.root(), mounted.aside("second"));
    fs::create_dir(&second).unwrap();
    let second = Second(second);
    let [store, root, at] = [&store, &root, &second.0].map(|path| path.to_str().unwrap());
    let slow = Slow::calls(mounted.pid(), &["-f"], "mount", "delay_exit=1500000");
    let mut mounting = begin(&mounted, &["mount", store, at]);
    wait_until("it is mounted", || fs::read_to_string("/proc/self/mounts").unwrap().contains(at));
    match end {
        End::Umount => drop(done(&mounted, &["umount", root])),
        _ => assert!(Command::new("kill").arg(mounted.pid().to_string()).status().unwrap().success()),
    }
    wait_until("the other mount is made", || mounting.try_wait().unwrap().is_some());
    assert!(mounting.wait().unwrap().success(), "{end:?}");
    drop(slow);
    assert_eq!(fs::read_to_string(second.0.join("bkt/f")).unwrap(), "kept\n", "{end:?}");
    done(&mounted, &["umount", at]);
    mounted.gone();
}

#[test]
fn a_mount_that_is_made_while_the_last_other_one_goes_lives() {
    while_another_is_made(End::Umount);
}

#[test]
fn a_mount_that_is_made_while_the_process_ends_lives() {
    while_another_is_made(End::Sigterm);
}
