//! `crossfade learn`: the rules that a running proxy's differences call for, with what speaks for each. It writes them into the file only if asked to.

use crate::cli::file::ConfigFile;
use crate::cli::output::{self, Output, OutputArg, Status};
use crate::cli::proxy::ProxyArg;
use crate::cli::words::printable;
use crate::config::edit::{Rule, RuleValue, add_rule};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use form_urlencoded::Serializer;
use serde_json::Value;
use std::fmt::Write;

/// The rules that the differences of a running proxy call for, with the evidence for each
///
/// For a field that was found to be noise it is the narrowest rule that covers all that was seen: a tolerance, the shape, and only where
/// nothing else holds to ignore it; for an array whose order alone differs, how to align it. Nothing is applied by itself.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade learn                        what each route's differences call for
  crossfade learn --route content-tags
  crossfade learn --apply                write it into routes.toml, comments kept; a running proxy takes it up by itself

Exit status:
  0  it is shown (there may be nothing to propose), and with --apply the file says so
  2  the arguments or the file can't be used
  5  no proxy could be reached, or it refused")]
pub(super) struct Learn {
    /// Only of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Write the rules into the file
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    proxy: ProxyArg,
    #[command(flatten)]
    output: OutputArg,
}

/// A route, and what is proposed for it.
struct Lesson {
    route: String,
    pairs: u64,
    rules: Vec<(Rule, String)>,
}

impl Learn {
    pub(super) fn run(self) -> Result<Status> {
        let answer = match self.proxy.client()?.get(&self.path()) {
            Ok(answer) => answer,
            Err(error) => {
                output::complain(format!("{error:#}"));
                return Ok(Status::Unreached);
            }
        };
        let lessons = lessons(&answer)?;
        if self.apply {
            apply(&ConfigFile::read(&self.proxy.file.config), &lessons)?;
        }
        match self.output.output {
            Output::Table => output::print(text(&lessons).trim_end())?,
            Output::Json => output::print_json(&answer)?,
        }
        Ok(Status::Done)
    }

    fn path(&self) -> String {
        let Some(route) = &self.route else {
            return "/api/learn".to_owned();
        };
        let mut query = Serializer::new(String::new());
        query.append_pair("route", route);
        format!("/api/learn?{}", query.finish())
    }
}

fn apply(file: &ConfigFile, lessons: &[Lesson]) -> Result<()> {
    let before = file.text()?;
    let mut text = before.to_owned();
    for lesson in lessons {
        for (rule, _) in &lesson.rules {
            text = add_rule(&text, &lesson.route, rule)
                .with_context(|| format!("route {}", lesson.route))?;
        }
    }
    if text != before {
        file.replace(&text)?;
    }
    output::note(format!(
        "{} {}",
        file.path.display(),
        if text == before {
            "says so already"
        } else {
            "says so now"
        }
    ));
    Ok(())
}

fn lessons(answer: &Value) -> Result<Vec<Lesson>> {
    let routes = answer["routes"].as_array().map(Vec::as_slice);
    let routes = routes.unwrap_or_default().iter();
    routes.map(lesson).collect::<Option<_>>().ok_or_else(|| {
        anyhow!("the proxy's answer is not one that this version of crossfade can read")
    })
}

fn lesson(route: &Value) -> Option<Lesson> {
    let rules = route["rules"].as_array()?.iter().map(|one| {
        let path = one["path"].as_str()?.to_owned();
        let value = &one["value"];
        let rule = match one["key"].as_str()? {
            "unordered" => Rule::Path {
                list: "unordered",
                path,
            },
            "shape" => Rule::Path {
                list: "shape",
                path,
            },
            "ignore" => Rule::Path {
                list: "ignore",
                path,
            },
            "match_by" => Rule::Entry {
                table: "match_by",
                path,
                value: match value.as_array() {
                    None => RuleValue::Name(value.as_str()?.to_owned()),
                    Some(names) => {
                        let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                        RuleValue::Names(names.collect::<Option<_>>()?)
                    }
                },
            },
            "tolerance" => Rule::Entry {
                table: "tolerance",
                path,
                value: RuleValue::Number(value.as_f64()?),
            },
            _ => return None,
        };
        Some((rule, one["evidence"].as_str()?.to_owned()))
    });
    Some(Lesson {
        route: route["name"].as_str()?.to_owned(),
        pairs: route["pairs"].as_u64()?,
        rules: rules.collect::<Option<_>>()?,
    })
}

/// Lines of TOML for each route's table, each below what speaks for it.
fn text(lessons: &[Lesson]) -> String {
    let mut out = String::new();
    for lesson in lessons {
        let line = format!("# {}: {} pairs differed", lesson.route, lesson.pairs);
        if lesson.rules.is_empty() {
            writeln!(out, "{line}, and no rule is called for").expect("a string takes every text");
            continue;
        }
        writeln!(out, "{line}").expect("a string takes every text");
        for (rule, evidence) in &lesson.rules {
            let (key, literal) = (rule.key(), rule.literal());
            writeln!(out, "# {}\ncompare.{key} = {literal}", printable(evidence))
                .expect("a string takes every text");
        }
        out.push('\n');
    }
    if out.is_empty() {
        out.push_str("# nothing differed yet\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({"routes": [
            {"name": "a", "pairs": 12, "rules": [
                {"key": "match_by", "path": "$.items", "value": "id", "evidence": "41 % differ in order\nonly"},
                {"key": "match_by", "path": "$.lines", "value": ["kind", "no"], "evidence": "3 % differ in order only"},
                {"key": "tolerance", "path": "$.w", "value": 1e-6, "evidence": "1e-6 covers all 12 differences"},
                {"key": "shape", "path": "$.at", "value": null, "evidence": "noise in 30 checks"},
            ]},
            {"name": "b", "pairs": 3, "rules": []},
        ]})
    }

    #[test]
    fn each_line_stands_below_its_evidence() {
        assert_eq!(
            text(&lessons(&answer()).unwrap()),
            "# a: 12 pairs differed\n\
             # 41 % differ in order\u{fffd}only\ncompare.match_by = { \"$.items\" = \"id\" }\n\
             # 3 % differ in order only\ncompare.match_by = { \"$.lines\" = [\"kind\", \"no\"] }\n\
             # 1e-6 covers all 12 differences\ncompare.tolerance = { \"$.w\" = 1e-6 }\n\
             # noise in 30 checks\ncompare.shape = [\"$.at\"]\n\n\
             # b: 3 pairs differed, and no rule is called for\n"
        );
        assert_eq!(text(&[]), "# nothing differed yet\n");
    }

    #[test]
    fn an_answer_of_another_version_is_told() {
        for (pointer, wrong) in [
            ("/routes/0/rules/0/key", json!("later")),
            ("/routes/0/rules/1/value", json!(["kind", 7])),
            ("/routes/0/rules/2/value", json!("much")),
            ("/routes/0/name", json!(7)),
        ] {
            let mut answer = answer();
            *answer.pointer_mut(pointer).unwrap() = wrong;
            assert!(lessons(&answer).is_err(), "{pointer}");
        }
    }
}
