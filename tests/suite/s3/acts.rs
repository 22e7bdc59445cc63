//! A client of the endpoint that goes on: acts of `acts.py`, one after another.

use super::harness::Client;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

pub struct Acts {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Acts {
    pub fn new(client: &Client) -> Self {
        let mut command = client.command_of("acts.py");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (asks, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, asks, answers }
    }

    /// What came of an act, or the code of the refusal. What the script did not expect is on stderr.
    #[track_caller]
    pub fn ask(&mut self, act: &str, mut arguments: Value) -> Result<Value, String> {
        arguments["act"] = json!(act);
        writeln!(self.asks.as_mut().unwrap(), "{arguments}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{act} ended the client: {line}"));
        match told["refused"].as_str() {
            Some(code) => Err(code.to_owned()),
            None => Ok(told["done"].take()),
        }
    }

    /// An act that must be done.
    #[track_caller]
    pub fn act(&mut self, act: &str, arguments: Value) -> Value {
        let asked = arguments.to_string();
        self.ask(act, arguments).unwrap_or_else(|code| panic!("{act} {:.300} was refused: {code}", asked))
    }
}

impl Drop for Acts {
    fn drop(&mut self) {
        // The end of what it is asked is its end.
        self.asks = None;
        let _ = self.child.wait();
    }
}

/// Bytes as they are told to an act.
pub fn sent(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Bytes that an act told.
pub fn bytes_of(told: &Value) -> Vec<u8> {
    BASE64.decode(told.as_str().unwrap()).unwrap()
}
