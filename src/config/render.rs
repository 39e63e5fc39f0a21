//! Problems as a person reads them on a terminal: place, source line, hint.

use crate::config::problem::{Lines, Problem, Severity, is_valid};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt::Write;

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// ANSI escapes.
    On,
    /// Plain text.
    Off,
}

/// A problem that reaches over more lines than this is shown by its first ones.
const MOST_LINES: usize = 4;

/// Every problem with its source line, and a last line that counts them; empty if there is none.
#[must_use]
pub fn render(problems: &[Problem], file: &str, text: &str, colour: Colour) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let lines = Lines::new(text);
    let renderer = match colour {
        Colour::On => Renderer::styled(),
        Colour::Off => Renderer::plain(),
    };
    let mut page = String::new();
    for problem in problems {
        page.push_str(&renderer.render(&[group(problem, file, text, &lines)]));
        page.push_str("\n\n");
    }
    page.push_str(&summary(problems, file));
    page
}

fn group<'a>(problem: &'a Problem, file: &'a str, text: &'a str, lines: &Lines<'_>) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let last = problem.end_line.min(problem.line + MOST_LINES - 1);
    // Only these lines are handed over: a file of a thousand problems is not searched a thousand times.
    let shown = lines.line(problem.line).start..lines.line(last).end;
    let start = lines.offset(problem.line, problem.column);
    let end = if last < problem.end_line {
        shown.end
    } else {
        lines.offset(problem.end_line, problem.end_column)
    };
    let (start, end) = (start - shown.start, end.max(start) - shown.start);
    let snippet = Snippet::source(&text[shown])
        .line_start(problem.line)
        .path(file)
        .annotation(AnnotationKind::Primary.span(start..end));
    let group = level
        .primary_title(problem.message.as_str())
        .id(problem.code)
        .element(snippet);
    match &problem.hint {
        Some(hint) => group.element(Level::HELP.message(hint.as_str())),
        None => group,
    }
}

fn summary(problems: &[Problem], file: &str) -> String {
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let plural = |n: usize, word: &str| {
        if n == 1 {
            format!("1 {word}")
        } else {
            format!("{n} {word}s")
        }
    };
    let mut line = format!("{file}: ");
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let parts: Vec<String> = [(errors, "error"), (warnings, "warning")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| plural(n, word))
        .collect();
    let end = if is_valid(problems) {
        "the file can be used"
    } else {
        "the file can't be used"
    };
    writeln!(line, "{}; {end}", parts.join(", ")).expect("a string takes every text");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{HEAD, read};
    use crate::config::{Report, Severity};

    #[test]
    fn a_problem_is_shown_under_its_line() {
        let text =
            format!("{HEAD}[[route]]\nname = \"a\"\nmatch = \"GET /a\"\nkey = \"ü{{path.id}}\"\n");
        let page = render(
            &read(&text).problems,
            "conf/routes.toml",
            &text,
            Colour::Off,
        );
        let expected = "\
error[unknown-placeholder]: the path has no placeholder {id}
  --> conf/routes.toml:10:10
   |
10 | key = \"ü{path.id}\"
   |          ^^^^^^^
   |
   = help: the path has no placeholders: write one, as in \"GET /items/{id}\"

conf/routes.toml: 1 error; the file can't be used
";
        assert_eq!(page, expected);
        let coloured = render(&read(&text).problems, "conf/routes.toml", &text, Colour::On);
        assert!(coloured.contains("\u{1b}["), "{coloured}");
    }

    #[test]
    fn errors_and_warnings_are_counted() {
        let hidden = "[[route]]\nname = \"a\"\nmatch = \"GET /{x*}\"\n[[route]]\nname = \"b\"\nmatch = \"GET /b\"\n";
        let check = |text: &str, expected: &str| {
            let page = render(&read(text).problems, "f", text, Colour::Off);
            assert_eq!(page.lines().last().unwrap_or_default(), expected);
        };
        check(HEAD, "");
        check(
            &format!("{HEAD}{hidden}"),
            "f: 1 warning; the file can be used",
        );
        check(
            &format!("{HEAD}{hidden}nope = 1\nsalt = 1\n"),
            "f: 2 errors, 1 warning; the file can't be used",
        );
    }

    #[test]
    fn a_problem_of_many_lines_shows_the_first_ones() {
        let text = format!("{HEAD}timeout = [\n{}]\n", "1,\n".repeat(50));
        let page = render(&read(&text).problems, "f", &text, Colour::Off);
        assert!(page.lines().count() < 15, "{page}");
    }

    #[test]
    fn rows_for_programs() {
        let text = format!("{HEAD}nope = 1\n");
        let loaded = read(&text);
        let rows = serde_json::to_value(Report::new("f", &loaded.problems)).unwrap();
        let hint = "[new] has `url`, `urls`, `connect_timeout`, `timeout`, `host`, `pool`, `breaker`, `health`, `tls` and `protocol`";
        let expected = serde_json::json!({"file": "f", "valid": false, "problems": [{
            "severity": "error", "code": "unknown-key", "message": "[new] has no key `nope`", "hint": hint,
            "path": "new.nope", "line": 7, "column": 1, "end_line": 7, "end_column": 5,
        }]});
        assert_eq!(rows, expected);
        let mut warning = loaded.problems[0].clone();
        warning.severity = Severity::Warning;
        let rows = serde_json::to_value(Report::new("f", &[warning])).unwrap();
        assert_eq!(
            (&rows["valid"], &rows["problems"][0]["severity"]),
            (&true.into(), &"warning".into())
        );
    }
}
