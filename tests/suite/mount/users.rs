//! Rights: what several users may do on root's mount, and a mount made by a plain user.

use super::harness::{KEYFOLD, NOBODY, detach, end};
use super::other::Other;
use super::{Mounted, posix};
use nix::sys::stat::Mode;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DAEMON: u32 = 1;

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can act as several users");
    }
    root
}

/// Set-id bits go with a change of the bytes by a plain user, and stay with one of root's.
#[test]
fn a_plain_user_s_change_clears_set_id_bits() {
    if !root() {
        return;
    }
    let mut mounted = posix::open_to_all();
    let mut nobody = Other::user(&mounted, NOBODY);
    let changes = [
        "os.write(os.open('f', os.O_WRONLY), b'x') and None",
        "os.write(os.open('f', os.O_RDWR | os.O_APPEND), b'x') and None",
        "os.truncate('f', 1)",
        "os.ftruncate(os.open('f', os.O_RDWR), 9)",
        "os.close(os.open('f', os.O_WRONLY | os.O_TRUNC))",
        "os.posix_fallocate(os.open('f', os.O_RDWR), 0, 100)",
        "os.copy_file_range(os.open('g', os.O_RDONLY), os.open('f', os.O_WRONLY), 4) and None",
        "os.chown('f', -1, os.getgid())",
    ];
    let file = mounted.path("f");
    let mode = || fs::metadata(&file).unwrap().mode() & 0o7777;
    // Where the group may not run it, set-group-id means something else, and stays for who is in the group.
    for (change, (before, after)) in changes.iter().flat_map(|change| [(change, (6775, 775)), (change, (6764, 2764))]) {
        mounted.sh(&format!("rm -f f g; echo text | tee f > g; chown {NOBODY}:{NOBODY} f; chmod {before} f"));
        nobody.do_all(&[change]);
        assert_eq!(mounted.sh("stat -c %a f"), format!("{after}\n"), "{change}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o6775)).unwrap();
    fs::write(&file, b"root's").unwrap();
    assert_eq!(mode(), 0o6775);
    // Reading and touching change nothing.
    nobody.do_all(&["os.utime('f')", "len(open('f').read()) and None"]);
    assert_eq!(mode(), 0o6775);
    nobody.do_all(&["os.write(os.open('f', os.O_WRONLY), b'x') and None"]);
    drop(nobody);
    mounted.restart();
    assert_eq!(mode(), 0o775);
}

/// In a sticky directory everybody makes files, and only their owner, or the directory's, moves or removes them.
#[test]
fn a_sticky_directory_guards_names() {
    if !root() {
        return;
    }
    let mounted = posix::open_to_all();
    mounted.sh(&format!("mkdir tmp; chown {DAEMON} tmp; chmod 1777 tmp; mkdir own; chmod 777 own"));
    let (mut nobody, mut daemon) = (Other::user(&mounted, NOBODY), Other::user(&mounted, DAEMON));
    mounted.sh("echo r > tmp/root");
    nobody.do_all(&["open('tmp/n', 'w').close()", "os.mkdir('tmp/dir')", "open('own/n', 'w').close()"]);
    daemon.do_all(&["open('tmp/d', 'w').close()"]);
    for refused in
        ["os.remove('tmp/d')", "os.rename('tmp/d', 'tmp/x')", "os.rename('tmp/n', 'tmp/d')", "os.remove('tmp/root')"]
    {
        assert_eq!(nobody.does(refused), "EPERM", "{refused}");
    }
    nobody.do_all(&["os.rename('tmp/n', 'tmp/m')"]);
    daemon.do_all(&["os.remove('tmp/m')", "os.rmdir('tmp/dir')", "os.remove('own/n')", "os.remove('tmp/root')"]);
    // Without rights a user neither reads, lists nor changes.
    mounted.sh("mkdir -m 700 hidden; echo x > hidden/f; echo x > secret; chmod 600 secret; chmod 755 own");
    for refused in
        ["os.listdir('hidden')", "os.stat('hidden/f')", "open('secret')", "open('own/new', 'w')", "os.mkdir('own/d')"]
    {
        assert_eq!(nobody.does(refused), "EACCES", "{refused}");
    }
    assert_eq!(nobody.does("os.chmod('secret', 0o666)"), "EPERM");
    // The group's rights, also of one that is not the process's own.
    mounted.sh(&format!("chown 0:{DAEMON} secret; chmod 640 secret"));
    let mut member = Other::start(&mounted);
    member
        .do_all(&[&format!("os.setgroups([{DAEMON}]); os.setresgid(*[{NOBODY}] * 3); os.setresuid(*[{NOBODY}] * 3)")]);
    assert_eq!(member.does("open('secret', 'rb').read()"), "b'x\\n'");
    assert_eq!(nobody.does("open('secret')"), "EACCES");
    assert_eq!(daemon.does("open('secret', 'rb').read()"), "b'x\\n'");
    assert_eq!(daemon.does("open('secret', 'a')"), "EACCES");
}

/// New files belong to who made them, with the mask of that process; a set-group-id directory hands its group down.
#[test]
fn what_a_user_makes_is_theirs() {
    if !root() {
        return;
    }
    let mut mounted = posix::open_to_all();
    mounted.sh(&format!("mkdir g; chown 0:{DAEMON} g; chmod 2777 g"));
    let mut nobody = Other::user(&mounted, NOBODY);
    nobody.do_all(&[
        "os.umask(0o027) and None",
        "os.close(os.open('f', os.O_CREAT | os.O_WRONLY, 0o666))",
        "os.mkdir('d')",
        "os.mkfifo('p')",
        "os.symlink('x', 's')",
        "os.close(os.open('g/f', os.O_CREAT | os.O_WRONLY, 0o666))",
        "os.mkdir('g/d')",
    ]);
    drop(nobody);
    mounted.restart();
    let own = format!("{NOBODY}:{NOBODY}");
    let told = mounted.sh("stat -c '%a %u:%g' f d p g/f g/d; stat -c '%u:%g' s");
    let handed = format!("{NOBODY}:{DAEMON}");
    assert_eq!(told, format!("640 {own}\n750 {own}\n640 {own}\n640 {handed}\n2750 {handed}\n{own}\n"));
}

/// Lets plain users open `/dev/fuse`, as most systems do, for this thread and what it starts; whether they can.
fn device_for_all() -> bool {
    use nix::mount::{MsFlags, mount};
    let open =
        || Command::new("sh").args(["-c", "exec 3<> /dev/fuse"]).uid(NOBODY).gid(NOBODY).status().unwrap().success();
    if open() {
        return true;
    }
    // SAFETY: it concerns this thread only.
    if unsafe { nix::libc::unshare(nix::libc::CLONE_NEWNS) } != 0 {
        return false;
    }
    let aside = tempfile::tempdir().unwrap();
    let device = aside.path().join("fuse");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    nix::sys::stat::mknod(&device, nix::sys::stat::SFlag::S_IFCHR, Mode::all(), nix::libc::makedev(10, 229)).unwrap();
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).unwrap();
    mount(Some(&device), "/dev/fuse", none, MsFlags::MS_BIND, none).is_ok() && open()
}

/// A plain user's store and mount: all that a user may do works, and nobody else gets in.
#[test]
fn a_plain_user_mounts_a_store() {
    if !root() || !device_for_all() {
        return eprintln!("skipped: plain users cannot open /dev/fuse");
    }
    let mut mounted = Mounted::of_a_plain_user();
    // Nobody else, root included, without allow_other.
    assert_eq!(super::errno(fs::metadata(mounted.path(""))), nix::errno::Errno::EACCES);
    fs::copy(program("fsx"), mounted.aside("fsx")).unwrap();
    for mix in &posix::MIXES[..2] {
        mix.configure(&mounted);
        mounted.sh(&format!(
            "cd $M/bkt; $T/fsx -q -f $T/fsx.toml -N 1000 -S 7 -P $T {0} > $T/{0}.said; cksum {0} > $T/{0}.sum; sync {0}",
            mix.name
        ));
    }
    mounted.sh("cd $M/bkt; setfattr -n user.s3.versioning -v Enabled .; echo 1 > v; echo 2 > v; test $(ls .versions/v | wc -l) = 2
        mkdir -p d/e; echo x > d/e/f; mv d g; ln g/e/f h; ln -s h s; mkfifo p; test $(stat -c %h h) = 2
        test $(stat -c %u:%g g/e/f) = $(id -u):$(id -g); chmod 4755 h; chmod 700 g
        ! chown 0 h 2> /dev/null; ! mknod c c 1 3 2> /dev/null
        exec 9< h; rm h g/e/f; test \"$(cat <&9)\" = x; exec 9>&-
        cp $(type -P sleep) prog; ./prog 60 & sleep 0.1; ! (exec 9>> prog) 2> /dev/null; kill $!; wait || true
        exec 9> lock; flock -n 9; ! flock -n lock true; exec 9>&-; flock -n lock true
        xargs -P 4 -I{} sh -c 'echo {} >> log' < <(seq 200); test $(sort -u log | wc -l) = 200; sync .");
    let mut user = Other::user(&mounted, NOBODY);
    user.do_all(&["f = open('v', 'r+b', 0)", "m = mmap.mmap(f.fileno(), 0)", "m[0:1] = b'3'", "m.flush()"]);
    drop(user);
    let same = "cd $M/bkt; for f in inline extents; do cksum $f | cmp - $T/$f.sum; done; test $(cat v) = 3; ls";
    mounted.crash();
    let names = mounted.sh(same);
    mounted.restart();
    assert_eq!(mounted.sh(same), names);
    mounted.fsck();
    // The store is the user's as well.
    assert_eq!(mounted.sh("find $T/store ! -user $(id -u)"), "");
}

/// Where a program lies.
fn program(name: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.exists()).unwrap()
}

/// Runs keyfold, of which one call takes a second and a half; `meanwhile` is done as soon as `is_time` says so.
fn overtaken(call: &str, args: &[&Path], is_time: impl Fn() -> bool, meanwhile: impl FnOnce()) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:delay_enter=1500000:when=1")]).arg(KEYFOLD).args(args);
    let mut keyfold = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !is_time() {
        assert!(Instant::now() < until, "{call} does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    meanwhile();
    // However it fares: a mount that is made ends.
    let place = args[args.len() - 1];
    let is_mounted = || fs::read_to_string("/proc/self/mounts").unwrap().contains(place.to_str().unwrap());
    while keyfold.try_wait().unwrap().is_none() && !is_mounted() {
        std::thread::sleep(Duration::from_millis(5));
    }
    detach(place);
    end(&mut keyfold);
}

/// Root works for another user in a directory of that user's, who puts a link in the place of what root has made.
#[test]
fn root_gives_nobody_what_a_link_leads_to() {
    if !root() {
        return;
    }
    let mut mounted = Mounted::unmounted();
    mounted.remount("");
    mounted.sh(&format!("mkdir $M/bkt $M/bkt/d; echo 1 >$M/bkt/d/f; chown -R {NOBODY} $M/bkt"));
    mounted.umount();
    let [store, mount, out, victim] = [mounted.store(), mounted.root(), mounted.aside("out"), mounted.aside("victim")];
    mounted.sh_outside(&format!("chown -R {NOBODY} $T/store"));
    fs::create_dir(&victim).unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o755)).unwrap();
    let untouched = |what: &str| {
        let meta = fs::metadata(&victim).unwrap();
        assert_eq!((meta.uid(), meta.permissions().mode() & 0o7777), (0, 0o755), "{what}");
    };
    let put_link = |at: &Path| {
        let _ = fs::rename(at, at.with_extension("aside"));
        std::os::unix::fs::symlink(&victim, at).unwrap();
    };
    untouched("before");
    let socket = store.join("control.sock");
    let args = ["mount".as_ref(), "--foreground".as_ref(), &*store, &*mount];
    overtaken("listen", &args, || socket.exists(), || put_link(&socket));
    untouched("a socket");
    let dir = out.join("bkt/d");
    let args = ["--store".as_ref(), &*store, "export".as_ref(), &*out];
    overtaken("utimensat", &args, || dir.join("f").exists(), || put_link(&dir));
    untouched("a directory that is exported");
}
