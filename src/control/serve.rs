//! One connection of the socket, from the server's side: read the request, run it, answer.

use super::answer::{Answer, Failure, Reply};
use super::frame::{read_frame, write_frame};
use super::{Envelope, Host, PROTOCOL, Request, Row, handle};
use crate::model::{Error, Kind, Result};
use crate::store::Store;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may wait for mounts to show what was changed.
const SHOWN: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The user this process acts as.
    pub process: u32,
    /// The owner of the store's directory.
    pub owner: u32,
}

impl Caller {
    /// Whether the caller may ask for this: root and the process's own user anything, the store's owner what concerns
    /// the store alone. Otherwise an owner could write files with the rights of a process that root started.
    ///
    /// # Errors
    /// [`Kind::Denied`] otherwise.
    pub fn may(self, request: &Request) -> Result<()> {
        let own = self.uid == 0 || self.uid == self.process;
        if own || (self.uid == self.owner && !request.is_of_the_machine()) {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, "cannot ask the process that owns the store")
            .why(format!("it runs as user {}, you are user {}", self.process, self.uid))
            .mend("ask as its user or as root"))
    }
}

/// Serves one request.
///
/// # Errors
/// When the connection breaks; what a verb says goes to the caller.
pub fn serve(stream: &mut (impl Read + Write), caller: Caller, store: &Arc<Store>, host: &dyn Host) -> Result<()> {
    let done = match request(stream) {
        Ok(None) => return Ok(()),
        Ok(Some(request)) => match caller.may(&request) {
            Ok(()) => {
                let changes = request.changes_what_is_shown();
                let done = handle(store, host, request, &mut Over(stream));
                if changes {
                    // A kernel may take its time; what was changed stays so all the same.
                    let _ = store.wait_told(SHOWN);
                }
                done
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let last = match &done {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed(Failure::from(error)),
    };
    write_frame(stream, &last)
}

fn request(stream: &mut impl Read) -> Result<Option<Request>> {
    let Some(envelope) = read_frame::<Envelope>(stream)? else { return Ok(None) };
    if envelope.protocol != PROTOCOL {
        return Err(Error::new(Kind::StoreFormat, "cannot understand the request")
            .why(format!("it is of protocol {}, this process speaks {PROTOCOL}", envelope.protocol))
            .mend("unmount the store and mount it with the release you call"));
    }
    serde_json::from_value(envelope.request).map(Some).map_err(|error| {
        Error::new(Kind::InvalidArgument, "cannot understand the request")
            .why(error.to_string())
            .mend("use the same release of keyfold as the process that owns the store")
    })
}

struct Over<'a, S>(&'a mut S);

impl<S: Write> Reply for Over<'_, S> {
    fn row(&mut self, row: Row) -> Result<()> {
        write_frame(self.0, &Answer::Row(row))
    }

    fn note(&mut self, text: &str) -> Result<()> {
        write_frame(self.0, &Answer::Note(text.to_owned()))
    }

    fn alive(&mut self) -> Result<()> {
        write_frame(self.0, &Answer::Alive)
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, Request};

    #[test]
    fn an_owner_does_not_borrow_the_rights_of_roots_process() {
        let of_store = Request::Status;
        let of_machine = Request::Stop;
        let caller = |uid| Caller { uid, process: 0, owner: 1000 };
        assert!(caller(0).may(&of_machine).is_ok());
        assert!(caller(1000).may(&of_store).is_ok());
        assert!(caller(1000).may(&of_machine).is_err());
        assert!(caller(1001).may(&of_store).is_err());
    }
}
