//! Splits Rust source into tokens and comments.
//!
//! Knows what can hide a word from a search: line and nested block comments,
//! strings (plain, raw, byte, C), characters as against lifetimes. Everything
//! else is a word, a number or a sign; `::` is one sign.
//!
//! Invariant: tokens and comments are slices of the input in its order.

use super::Comment;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Identifier, keyword or number.
    Word,
    /// A string or character, with its quotes.
    Text,
    Lifetime,
    /// One character, or `::`.
    Sign,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// From 1.
    pub(crate) line: usize,
    /// Braces open around it; a brace counts as outside itself.
    pub(crate) depth: usize,
    pub(crate) is_test: bool,
}

impl Token<'_> {
    /// Not the inside of a string.
    pub(crate) fn is_code(&self) -> bool {
        self.kind != Kind::Text
    }
}

pub(super) fn split(text: &str) -> (Vec<Token<'_>>, Vec<Comment<'_>>) {
    let mut lexer = Lexer { text, at: 0, line: 1, depth: 0, tokens: vec![], comments: vec![] };
    while lexer.step() {}
    (lexer.tokens, lexer.comments)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    depth: usize,
    tokens: Vec<Token<'a>>,
    comments: Vec<Comment<'a>>,
}

impl<'a> Lexer<'a> {
    fn step(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if first.is_whitespace() {
            self.take(first.len_utf8());
        } else if rest.starts_with("//") {
            let len = rest.find('\n').unwrap_or(rest.len());
            self.comment(len);
        } else if rest.starts_with("/*") {
            self.comment(block_comment_len(rest));
        } else if let Some(len) = string_len(rest) {
            self.token(Kind::Text, len);
        } else if first == '\'' {
            self.quote(rest);
        } else if is_word(first) {
            let len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            self.token(Kind::Word, len);
        } else if rest.starts_with("::") {
            self.token(Kind::Sign, 2);
        } else {
            self.sign(first);
        }
        true
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Consumes `len` bytes and counts their lines.
    fn take(&mut self, len: usize) -> &'a str {
        let taken = self.rest().get(..len).unwrap_or_else(|| self.rest());
        self.at += taken.len();
        self.line += taken.matches('\n').count();
        taken
    }

    fn comment(&mut self, len: usize) {
        let line = self.line;
        let text = self.take(len);
        self.comments.push(Comment { line, text });
    }

    fn token(&mut self, kind: Kind, len: usize) {
        let line = self.line;
        let text = self.take(len);
        self.tokens.push(Token { kind, text, line, depth: self.depth, is_test: false });
    }

    fn sign(&mut self, sign: char) {
        if sign == '}' {
            self.depth = self.depth.saturating_sub(1);
        }
        self.token(Kind::Sign, sign.len_utf8());
        if sign == '{' {
            self.depth += 1;
        }
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn quote(&mut self, rest: &str) {
        let mut characters = rest.char_indices().skip(1);
        let (_, first) = characters.next().unwrap_or((1, ' '));
        let second = characters.next();
        if first == '\\' {
            let end = characters.find(|(_, c)| *c == '\'').map_or(rest.len(), |(at, _)| at + 1);
            self.token(Kind::Text, end);
        } else if let Some((at, '\'')) = second {
            self.token(Kind::Text, at + 1);
        } else {
            let len = rest.char_indices().skip(1).find(|(_, c)| !is_word(*c));
            self.token(Kind::Lifetime, len.map_or(rest.len(), |(at, _)| at));
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment_len(text: &str) -> usize {
    let mut open = 0_usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match (previous, c) {
            ('/', '*') => open += 1,
            ('*', '/') => open = open.saturating_sub(1),
            _ => {
                previous = c;
                continue;
            }
        }
        if open == 0 {
            return at + 1;
        }
        previous = ' ';
    }
    text.len()
}

/// Length of the string literal that `text` starts with, if it does.
fn string_len(text: &str) -> Option<usize> {
    let prefix = text.find(|c: char| !"brc".contains(c))?;
    if prefix > 2 {
        return None;
    }
    let (marks, body) = text.split_at_checked(prefix)?;
    let hashes = body.find(|c| c != '#')?;
    let is_raw = marks.contains('r');
    if !body.get(hashes..)?.starts_with('"') || (hashes > 0 && !is_raw) {
        return None;
    }
    let start = prefix + hashes + 1;
    let inside = text.get(start..)?;
    if is_raw {
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(inside.find(&close).map_or(text.len(), |at| start + at + close.len()));
    }
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' if !is_escaped => return Some(start + at + 1),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    Some(text.len())
}
