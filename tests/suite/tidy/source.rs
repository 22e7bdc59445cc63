//! A source file as the rules see it: tokens without comments and strings, and the paths it names.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// One breach of one rule.
#[derive(Debug)]
pub struct Finding {
    pub path: PathBuf,
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

/// A piece of code; comments and the insides of strings are none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    Word(String),
    /// `::`
    Path,
    Mark(char),
}

/// A file as the rules see it.
pub struct Source {
    /// Relative to the repository.
    pub path: PathBuf,
    pub text: String,
    pub tokens: Vec<(usize, Token)>,
    /// Comments with the line each begins at.
    pub comments: Vec<(usize, String)>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut source = Self { path: path.into(), text: text.into(), tokens: vec![], comments: vec![] };
        source.lex();
        source
    }

    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }

    pub fn word(&self, at: usize) -> Option<&str> {
        match self.tokens.get(at) {
            Some((_, Token::Word(word))) => Some(word),
            _ => None,
        }
    }

    pub fn is(&self, at: usize, mark: char) -> bool {
        matches!(self.tokens.get(at), Some((_, Token::Mark(found))) if *found == mark)
    }

    fn is_path(&self, at: usize) -> bool {
        matches!(self.tokens.get(at), Some((_, Token::Path)))
    }

    fn lex(&mut self) {
        let chars: Vec<char> = self.text.chars().collect();
        let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
        let ident = |c: char| c == '_' || c.is_alphanumeric();
        let (mut at, mut line) = (0, 1);
        while at < chars.len() {
            let (start, begins) = (at, line);
            let c = chars[at];
            at += 1;
            if c == '/' && peek(at) == '/' {
                at += chars[at..].iter().take_while(|c| **c != '\n').count();
                self.comments.push((begins, chars[start..at].iter().collect()));
            } else if c == '/' && peek(at) == '*' {
                let mut depth = 0;
                at = start;
                while at < chars.len() {
                    match (peek(at), peek(at + 1)) {
                        ('/', '*') => (depth, at) = (depth + 1, at + 2),
                        ('*', '/') => (depth, at) = (depth - 1, at + 2),
                        _ => at += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
                self.comments.push((begins, chars[start..at.min(chars.len())].iter().collect()));
            } else if c == '"' {
                at = end_of_string(&chars, at);
                self.tokens.push((begins, Token::Mark('"')));
            } else if c == '\'' {
                if peek(at) == '\\' || peek(at + 1) == '\'' {
                    at += if peek(at) == '\\' { 2 } else { 1 };
                    at += chars[at.min(chars.len())..].iter().take_while(|c| **c != '\'').count() + 1;
                } else {
                    at += chars[at..].iter().take_while(|c| ident(**c)).count();
                }
            } else if ident(c) {
                at += chars[at..].iter().take_while(|c| ident(**c)).count();
                let mut word: String = chars[start..at].iter().collect();
                let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && peek(at + hashes) == '"' {
                    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                    at += hashes + 1;
                    at += chars[at..].windows(end.len()).take_while(|w| *w != end).count() + end.len();
                    word = "\"".into();
                } else if word == "r" && hashes == 1 && ident(peek(at + 1)) {
                    let name = chars[at + 1..].iter().take_while(|c| ident(**c)).count();
                    word = chars[at + 1..at + 1 + name].iter().collect();
                    at += 1 + name;
                } else if matches!(word.as_str(), "b" | "c") && peek(at) == '"' {
                    at = end_of_string(&chars, at + 1);
                    word = "\"".into();
                }
                self.tokens.push((begins, if word == "\"" { Token::Mark('"') } else { Token::Word(word) }));
            } else if c == ':' && peek(at) == ':' {
                at += 1;
                self.tokens.push((begins, Token::Path));
            } else if !c.is_whitespace() {
                self.tokens.push((begins, Token::Mark(c)));
            }
            line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
        }
    }

    /// Where the file's contents stand in the crate: `src/a/b.rs` is `a::b`.
    fn module(&self) -> Vec<String> {
        let mut parts: Vec<String> =
            self.path.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// The room of a file under src; none for the crate's own two files.
    pub fn room(&self) -> Option<String> {
        self.module().into_iter().next()
    }

    /// Whatever is named by a path or imported: its line, the module it is named in, its segments.
    pub fn paths(&self) -> Vec<(usize, Vec<String>, Vec<String>)> {
        let (mut found, mut inline, mut depth) = (vec![], vec![], 0_usize);
        let mut at = 0;
        while at < self.tokens.len() {
            let line = self.tokens[at].0;
            let module =
                || self.module().into_iter().chain(inline.iter().map(|(name, _)| String::clone(name))).collect();
            let mut next = at + 1;
            match &self.tokens[at].1 {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => {
                    depth = depth.saturating_sub(1);
                    inline.retain(|(_, opened)| *opened < depth);
                }
                Token::Word(word) if word == "mod" && self.is(at + 2, '{') => {
                    inline.push((self.word(at + 1).unwrap_or_default().to_owned(), depth));
                }
                Token::Word(word) if word == "extern" && self.word(at + 1) == Some("crate") => {
                    found.push((line, module(), vec![self.word(at + 2).unwrap_or_default().to_owned()]));
                    next = at + 3;
                }
                Token::Word(word) if word == "use" && !self.is(at + 1, '<') => {
                    let mut expanded = vec![];
                    next = self.use_tree(at + 1, &[], &mut expanded);
                    found.extend(expanded.into_iter().map(|path| (line, module(), path)));
                }
                Token::Word(word) if self.is_path(at + 1) => {
                    let mut path = vec![word.clone()];
                    while self.is_path(next) && self.word(next + 1).is_some() {
                        path.push(self.word(next + 1).unwrap_or_default().to_owned());
                        next += 2;
                    }
                    // `<T as Trait>::Name` goes on with what stands before; a bare leading `::` names a package.
                    let goes_on =
                        at > 1 && self.is_path(at - 1) && (self.word(at - 2).is_some() || self.is(at - 2, '>'));
                    if !goes_on {
                        found.push((line, module(), path));
                    }
                }
                _ => {}
            }
            at = next;
        }
        found
    }

    /// Expands `a::{b, c as d}` from token `at` on; returns where it ends. A new name is one more segment.
    fn use_tree(&self, mut at: usize, before: &[String], out: &mut Vec<Vec<String>>) -> usize {
        let (mut path, begins) = (before.to_vec(), at);
        while let Some((_, token)) = self.tokens.get(at) {
            match token {
                Token::Word(word) if word == "as" || (word == "self" && !path.is_empty()) => {}
                Token::Word(word) => path.push(word.clone()),
                Token::Mark('{') => {
                    while !self.is(at, '}') && at < self.tokens.len() {
                        at = self.use_tree(at + 1, &path, out);
                    }
                    return at + 1;
                }
                Token::Mark(',' | '}' | ';') => break,
                Token::Path | Token::Mark(_) => {}
            }
            at += 1;
        }
        if at > begins {
            out.push(path);
        }
        at
    }

    /// `mod name;` declarations, each with the inline modules around it.
    pub fn declared_modules(&self) -> Vec<Vec<String>> {
        let mut found = vec![];
        self.walk(|at, token, inline| {
            if let (Token::Word(word), Some(name)) = (token, self.word(at + 1))
                && word == "mod"
                && self.is(at + 2, ';')
            {
                found.push(inline.chain([name]).map(str::to_owned).collect());
            }
        });
        found
    }

    /// The file's module and the tests in it, as whoever runs tests names them.
    pub fn places(&self) -> Vec<String> {
        let mut module = self.module();
        if self.path.starts_with("tests/suite") {
            module.remove(0);
        }
        let (mut found, mut is_test) = (vec![module.join("::")], false);
        self.walk(|at, token, inline| match token {
            Token::Mark('[') => is_test |= self.word(at + 1) == Some("test") && self.is(at + 2, ']'),
            Token::Word(word) if word == "fn" && is_test => {
                is_test = false;
                let within = module.iter().map(String::as_str).chain(inline);
                found.push(within.chain(self.word(at + 1)).collect::<Vec<_>>().join("::"));
            }
            _ => {}
        });
        found
    }

    /// Calls `visit` with each token, its place, and the inline modules around it.
    fn walk<'a>(&'a self, mut visit: impl FnMut(usize, &Token, Box<dyn Iterator<Item = &'a str> + '_>)) {
        let (mut inline, mut depth) = (Vec::<(&str, usize)>::new(), 0_usize);
        for (at, (_, token)) in self.tokens.iter().enumerate() {
            match token {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => {
                    depth = depth.saturating_sub(1);
                    inline.retain(|(_, opened)| *opened < depth);
                }
                Token::Word(word) if word == "mod" && self.is(at + 2, '{') => {
                    inline.extend(self.word(at + 1).map(|name| (name, depth)));
                }
                _ => {}
            }
            visit(at, token, Box::new(inline.iter().map(|(name, _)| *name)));
        }
    }

    /// Names that mean something of the file's own, though a package may have the same: `mod time;`, `use std::time`.
    pub fn own_names(&self) -> BTreeSet<String> {
        let modules = self.declared_modules().into_iter().filter_map(|path| path.last().cloned());
        let imports = self.paths().into_iter().filter_map(|(_, _, path)| {
            let last = path.last()?.clone();
            (path.first()? != &last).then_some(last)
        });
        modules.chain(imports).collect()
    }
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}
