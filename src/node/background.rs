//! Mounting: in the process that owns the store, or in a new one, in the background or not.

use super::log;
use super::plan::{Plan, mounted_at};
use super::serve::serve;
use crate::control::{Answer, FSTYPE, Failure, MountRow, Reply, Request, Row, connect};
use crate::model::{Error, Kind, Result};
use crate::sys::process::{self, Child, Side};
use std::time::{Duration, Instant};

/// How long a mount may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// How to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Return when the mount answers; a process in the background serves it.
    Background,
    /// Return when it is unmounted.
    Foreground,
}

/// Mounts as planned; `ready` hears of the mount when it answers. No thread may run yet.
///
/// # Errors
/// Why it cannot, in the words of whoever tried.
pub fn mount(plan: &Plan, start: Start, ready: impl Fn(&MountRow)) -> Result<()> {
    if start == Start::Foreground {
        log::begin(None);
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let refused = match by_the_owner(plan)? {
            Some(row) => {
                ready(&row);
                if start == Start::Foreground {
                    until_unmounted(plan)?;
                }
                return Ok(());
            }
            None => match start {
                Start::Foreground => serve(plan, |started| {
                    if let Ok(row) = started {
                        ready(row);
                    }
                }),
                Start::Background => in_the_background(plan).map(|row| ready(&row)),
            },
        };
        match refused {
            // Somebody starts, ends, or runs a command on the store: ask again who owns it.
            Err(error) if error.kind() == Kind::StoreBusy && Instant::now() < end => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}

/// Asks the process that owns the store, when there is one.
fn by_the_owner(plan: &Plan) -> Result<Option<MountRow>> {
    let Some(mut connection) = connect(&plan.store)? else { return Ok(None) };
    connection.be_patient(PATIENCE)?;
    let request = Request::Mount { mountpoint: plan.mountpoint.clone(), options: plan.options.clone() };
    let mut answer = One(None);
    match connection.ask(request, &mut answer) {
        Ok(true) => Ok(answer.0),
        Ok(false) => Ok(None),
        // It is ending; the next one may be this.
        Err(error) if error.kind() == Kind::StoreBusy => Ok(None),
        Err(error) => Err(error),
    }
}

struct One(Option<MountRow>);

impl Reply for One {
    fn row(&mut self, row: Row) -> Result<()> {
        if let Row::Mount(row) = row {
            self.0 = Some(row);
        }
        Ok(())
    }

    fn note(&mut self, _text: &str) -> Result<()> {
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        Ok(())
    }
}

fn in_the_background(plan: &Plan) -> Result<MountRow> {
    match process::daemonize(plan.descriptor())? {
        Side::Parent(child) => {
            let pid = child.pid();
            let report = child.wait(PATIENCE)?;
            match serde_json::from_slice(&report) {
                Ok(Answer::Row(Row::Mount(row))) => Ok(row),
                Ok(Answer::Failed(failure)) => Err(failure.into()),
                Ok(_) | Err(_) => Err(Error::new(Kind::Io, format!("cannot mount {}", plan.store.display()))
                    .why(format!("the process in the background said nothing; {}", Child::fate(pid)))
                    .mend("look into keyfold.log in the store, or use --foreground to see what it does")),
            }
        }
        Side::Child(report) => {
            let prepared = prepare(plan);
            let say = |started: std::result::Result<&MountRow, &Error>| {
                let answer = match started {
                    Ok(row) => Answer::Row(Row::Mount(row.clone())),
                    Err(error) => Answer::Failed(Failure::from(error)),
                };
                report.send(&serde_json::to_vec(&answer).unwrap_or_default());
            };
            let done = match prepared {
                Ok(()) => serve(plan, say),
                Err(error) => {
                    say(Err(&error));
                    Err(error)
                }
            };
            // The rest of the program is the parent's.
            std::process::exit(i32::from(done.is_err()));
        }
    }
}

/// Leaves the terminal: messages go to the log from here on.
fn prepare(plan: &Plan) -> Result<()> {
    process::turn_streams(&log::file(&plan.store)?)?;
    std::env::set_current_dir("/").map_err(|error| Error::io("cannot leave the directory", error))?;
    log::begin(Some(&plan.store));
    Ok(())
}

/// Waits in the foreground for a mount that another process serves.
fn until_unmounted(plan: &Plan) -> Result<()> {
    while mounted_at(&plan.mountpoint)?.is_some_and(|mount| mount.fstype == FSTYPE) {
        std::thread::sleep(PAUSE * 5);
    }
    Ok(())
}
