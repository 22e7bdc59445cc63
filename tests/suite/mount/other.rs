//! Another process, for what one cannot see alone: locks, maps, appends, the rights of other users.

use super::Mounted;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Does each line it reads and says what came of it: the value, or the name of the error.
const DRIVER: &str = "
import ctypes, errno, fcntl, mmap, os, stat, struct, sys
for line in sys.stdin:
    try:
        try: said = eval(line)
        except SyntaxError: said = exec(line)
    except OSError as error: said = errno.errorcode[error.errno]
    print(said, flush=True)
";

/// It does what it is told in Python, in the bucket `bkt`, and is killed when it is dropped.
pub struct Other {
    child: Child,
    told: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Other {
    pub fn start(mounted: &Mounted) -> Self {
        let mut other = Self::anywhere();
        other.do_all(&[&format!("os.chdir({:?})", mounted.path(""))]);
        other
    }

    /// With the rights of a user of that number, and of the group of that number.
    pub fn user(mounted: &Mounted, number: u32) -> Self {
        let mut other = Self::anywhere();
        other.do_all(&[
            &format!("os.setgroups([]); os.setresgid(*[{number}] * 3); os.setresuid(*[{number}] * 3)"),
            &format!("os.chdir({:?})", mounted.path("")),
        ]);
        other
    }

    fn anywhere() -> Self {
        let mut command = Command::new("python3");
        let mut child = command.args(["-c", DRIVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (told, said) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, told, said }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something, and what comes of it.
    #[track_caller]
    pub fn does(&mut self, line: &str) -> String {
        self.begins(line);
        self.answers()
    }

    /// As [`Other::does`] of each line, of which no answer is wanted but success.
    #[track_caller]
    pub fn do_all(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.does(line), "None", "{line}");
        }
    }

    /// Tells it to do something that may take until somebody else does something.
    pub fn begins(&mut self, line: &str) {
        writeln!(self.told, "{line}").unwrap();
    }

    pub fn answers(&mut self) -> String {
        let mut line = String::new();
        assert!(self.said.read_line(&mut line).unwrap() > 0, "the other process has ended");
        line.trim_end().to_owned()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
