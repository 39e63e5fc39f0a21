//! A source file as the floors test sees it: the paths that it names, and where.

/// One file below `src/`.
#[derive(Debug)]
pub(super) struct Source {
    /// The path below the top of the repository.
    pub(super) path: String,
    /// The module that the file is: `["route", "key"]`.
    pub(super) module: Vec<String>,
    /// Every path of at least two segments.
    pub(super) paths: Vec<Path>,
    /// The paths of `pub use` lines among them.
    pub(super) passed_on: Vec<Path>,
    /// Lines outside tests with `async` or `.await`.
    pub(super) awaits: Vec<usize>,
}

/// A path as it was written, groups and renames resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// `["crate", "side", "Side"]`; a glob ends in `*`.
    pub(super) segments: Vec<String>,
    /// The module that it was written in.
    pub(super) module: Vec<String>,
    /// Where it stands, from 1.
    pub(super) line: usize,
    /// Whether it stands in a module for tests.
    pub(super) in_test: bool,
    /// Whether it is in a `pub use` line.
    pub(super) passed_on: bool,
}

impl Source {
    /// `below_src` is the path below `src/`.
    pub(super) fn read(path: &str, below_src: &str, text: &str) -> Self {
        let bare = below_src.trim_end_matches(".rs");
        let bare = bare.strip_suffix("/mod").unwrap_or(bare);
        let module: Vec<String> = if bare == "lib" {
            Vec::new()
        } else {
            bare.split('/').map(str::to_owned).collect()
        };
        let tokens = tokens(text);
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            module: module.clone(),
            inner: Vec::new(),
            depth: 0,
            paths: Vec::new(),
            awaits: Vec::new(),
        };
        reader.read();
        let passed_on = reader
            .paths
            .iter()
            .filter(|path| path.passed_on)
            .cloned()
            .collect();
        Self {
            path: path.to_owned(),
            paths: reader.paths,
            awaits: reader.awaits,
            passed_on,
            module,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Mark(char),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

/// Words and marks with their lines; comments, texts and lifetimes are gone.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let rest = |n: usize| chars.get(at + n).copied();
        match chars[at] {
            '/' if rest(1) == Some('/') => {
                at += chars[at..].iter().take_while(|c| **c != '\n').count()
            }
            '/' if rest(1) == Some('*') => at = end_of_block_comment(&chars, at),
            '"' => at = end_of_text(&chars, at),
            '\'' => at = end_of_quote(&chars, at),
            c if c.is_alphabetic() || c == '_' => {
                at += chars[at..]
                    .iter()
                    .take_while(|c| c.is_alphanumeric() || **c == '_')
                    .count();
                let word: String = chars[start..at].iter().collect();
                match end_of_prefixed_text(&chars, &word, at) {
                    Some(end) => at = end,
                    None => found.push((Token::Word(word), line)),
                }
            }
            ':' if rest(1) == Some(':') => {
                found.push((Token::Colons, line));
                at += 2;
            }
            c => {
                if !c.is_whitespace() {
                    found.push((Token::Mark(c), line));
                }
                at += 1;
            }
        }
        line += chars[start..at.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    found
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_text(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Past a character; only past the mark of a lifetime.
fn end_of_quote(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let close = chars.iter().skip(start + 3).position(|c| *c == '\'');
            close.map_or(chars.len(), |offset| start + 3 + offset + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start + 1,
    }
}

/// Past a text with a prefix (`b".."`, `r#".."#`, `br".."`); `None` if the word is a word.
fn end_of_prefixed_text(chars: &[char], word: &str, after: usize) -> Option<usize> {
    if !matches!(word, "b" | "c" | "r" | "br" | "cr") {
        return None;
    }
    if word == "b" && chars.get(after) == Some(&'\'') {
        return Some(end_of_quote(chars, after));
    }
    let hashes = if word.ends_with('r') {
        chars[after..].iter().take_while(|c| **c == '#').count()
    } else {
        0
    };
    let open = after + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    if !word.ends_with('r') {
        return Some(end_of_text(chars, open));
    }
    let closes = |at: usize| {
        chars[at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    Some(
        (open + 1..chars.len())
            .find(|at| closes(*at))
            .map_or(chars.len(), |at| at + 1 + hashes),
    )
}

/// An inline module: its name, the depth of its brace, whether it is for tests.
struct Inner {
    name: String,
    depth: usize,
    test: bool,
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    module: Vec<String>,
    inner: Vec<Inner>,
    depth: usize,
    paths: Vec<Path>,
    awaits: Vec<usize>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let (mut test_attribute, mut public) = (false, false);
        while let Some((token, line)) = self.tokens.get(self.at) {
            match token {
                Token::Mark('#') if self.is_test_attribute() => {
                    test_attribute = true;
                    self.at += 7;
                }
                Token::Word(word) if word == "mod" => {
                    self.enter_module(test_attribute);
                    test_attribute = false;
                }
                Token::Word(word) if word == "pub" => {
                    // `pub(crate) use` hands on as `pub use` does.
                    public = true;
                    self.at += if self.peek(1) == Some(&Token::Mark('(')) {
                        self.until(')')
                    } else {
                        1
                    };
                }
                Token::Word(word) if word == "use" => {
                    self.at += 1;
                    self.tree(&[], public);
                    (public, test_attribute) = (false, false);
                }
                Token::Word(word) if word == "async" || word == "await" => {
                    if !self.in_test() {
                        self.awaits.push(*line);
                    }
                    self.at += 1;
                }
                Token::Word(word) => {
                    if matches!(
                        word.as_str(),
                        "fn" | "struct" | "enum" | "impl" | "const" | "static" | "trait" | "type"
                    ) {
                        test_attribute = false;
                    }
                    self.tree(&[], false);
                    public = false;
                }
                Token::Mark(mark) => {
                    match mark {
                        '{' => self.depth += 1,
                        '}' => {
                            self.depth = self.depth.saturating_sub(1);
                            self.inner.retain(|inner| inner.depth <= self.depth);
                        }
                        _ => {}
                    }
                    self.at += 1;
                }
                Token::Colons => self.at += 1,
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    /// Tokens from here to past the next of this mark.
    fn until(&self, mark: char) -> usize {
        self.tokens[self.at..]
            .iter()
            .take_while(|(token, _)| *token != Token::Mark(mark))
            .count()
            + 1
    }

    /// `#[cfg(test)]`, seven tokens.
    fn is_test_attribute(&self) -> bool {
        self.peek(1) == Some(&Token::Mark('['))
            && self.peek(2).is_some_and(|token| token.is_word("cfg"))
            && self.peek(4).is_some_and(|token| token.is_word("test"))
    }

    fn enter_module(&mut self, test: bool) {
        if let (Some(Token::Word(name)), Some(Token::Mark('{'))) =
            (self.peek(1).cloned(), self.peek(2))
        {
            self.depth += 1;
            self.inner.push(Inner {
                test: test || name == "tests",
                name,
                depth: self.depth,
            });
            self.at += 3;
        } else {
            self.at += 1;
        }
    }

    fn in_test(&self) -> bool {
        self.inner.iter().any(|inner| inner.test)
            || self.module.iter().any(|segment| segment == "tests")
    }

    /// Reads a path from here, with its groups, and keeps it if it has two segments.
    fn tree(&mut self, before: &[String], passed_on: bool) {
        let mut segments = before.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        loop {
            match self.peek(0) {
                Some(Token::Word(word)) => segments.push(word.clone()),
                Some(Token::Mark('*')) if segments.len() > 1 || !before.is_empty() => {
                    segments.push("*".to_owned())
                }
                Some(Token::Mark('{')) if !segments.is_empty() => {
                    return self.group(&segments, passed_on);
                }
                Some(_) | None => break,
            }
            self.at += 1;
            if self.peek(0) != Some(&Token::Colons) {
                break;
            }
            self.at += 1;
        }
        if self.peek(0).is_some_and(|token| token.is_word("as"))
            && passed_on_or_use(before, &segments)
        {
            self.at += 2;
        }
        if segments.len() > 1 {
            if segments.last().is_some_and(|last| last == "self") {
                segments.pop();
            }
            let module = self
                .module
                .iter()
                .cloned()
                .chain(self.inner.iter().map(|inner| inner.name.clone()))
                .collect();
            self.paths.push(Path {
                segments,
                module,
                line,
                in_test: self.in_test(),
                passed_on,
            });
        }
    }

    fn group(&mut self, before: &[String], passed_on: bool) {
        self.at += 1;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Mark('}') => {
                    self.at += 1;
                    return;
                }
                Token::Word(_) | Token::Mark('*') => self.tree(before, passed_on),
                Token::Mark(_) | Token::Colons => self.at += 1,
            }
        }
    }
}

/// `as` after a path of a `use` line is a rename; after an expression it is a cast, whose type is read as a path of its own.
fn passed_on_or_use(before: &[String], segments: &[String]) -> bool {
    !before.is_empty()
        || segments
            .first()
            .is_some_and(|first| matches!(first.as_str(), "crate" | "self" | "super"))
}
