//! `keyfold bucket edit`: a setting in the person's own editor.

use crate::cli::arguments::Global;
use crate::cli::failure::Done;
use crate::cli::output::{Collect, View, show};
use crate::control::{Request, Row};
use crate::model::{Error, Kind, Result};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn run(global: &Global, store: &Path, bucket: &str, setting: &str) -> Done {
    let before = current(store, bucket, setting)?;
    let path = std::env::temp_dir().join(format!("keyfold-{bucket}-{setting}-{}.json", std::process::id()));
    write(&path, &before)?;
    let edited = edit(&path).and_then(|()| {
        std::fs::read_to_string(&path).map_err(|error| Error::io(format!("cannot read {}", path.display()), error))
    });
    let text = edited.inspect_err(|_| remove(&path))?;
    if text == before {
        remove(&path);
        eprintln!("unchanged");
        return Ok(());
    }
    let request =
        Request::SettingSet { bucket: bucket.to_owned(), setting: setting.to_owned(), value: Some(text), mfa: None };
    let done = show(global, store, &request, View::ACTS);
    match &done {
        Ok(()) => remove(&path),
        // Typed text is never thrown away.
        Err(_) => eprintln!("what you wrote is in {}", path.display()),
    }
    done
}

fn current(store: &Path, bucket: &str, setting: &str) -> Result<String> {
    let mut rows = Collect::default();
    let request = Request::SettingGet { bucket: bucket.to_owned(), setting: setting.to_owned() };
    match crate::node::ask(store, &request, &mut rows) {
        Err(error) if error.kind() == Kind::NotSet => return Ok("{}\n".to_owned()),
        done => done?,
    }
    let Some(Row::Setting(row)) = rows.0.pop() else { return Ok(String::new()) };
    Ok(row.value)
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    // A new file of its own: the directory is shared with other users.
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::io(format!("cannot write {}", path.display()), error))
}

fn edit(path: &Path) -> Result<()> {
    let editor = ["VISUAL", "EDITOR"].into_iter().filter_map(std::env::var_os).find(|editor| !editor.is_empty());
    let editor = editor.unwrap_or_else(|| "vi".into());
    // Through a shell, as git does: an editor may have arguments.
    let mut script = editor.clone();
    script.push(" \"$@\"");
    let status = Command::new("sh").arg("-c").arg(script).arg("sh").arg(path).status();
    let failed = |why: String| {
        Error::new(Kind::Io, format!("cannot edit with {}", editor.display()))
            .why(why)
            .mend("set EDITOR to an editor that is installed")
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("it ended with {status}"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}
