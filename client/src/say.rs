//! What a person sees: steps on standard error while something runs, the result on standard output at its end.
//!
//! Plain text prints a line when a state changes and never repaints, so a log of it stays readable; only a terminal
//! gets the line of a step rewritten. State is told by a word and a symbol, never by colour alone.

use clap::ValueEnum;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// `tty` on a terminal, else `plain`.
    Auto,
    Tty,
    Plain,
    Json,
    Quiet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// How this run of the program talks.
#[derive(Debug, Clone, Copy)]
pub struct Say {
    progress: Progress,
    color: bool,
    ascii: bool,
    pub json: bool,
}

fn set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

impl Say {
    pub fn new(progress: Progress, color: Color, json: bool) -> Say {
        let terminal = std::io::stderr().is_terminal();
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let progress = match progress {
            Progress::Auto if terminal && !dumb && !set("CI") => Progress::Tty,
            Progress::Auto => Progress::Plain,
            chosen => chosen,
        };
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto if set("FORCE_COLOR") || set("CLICOLOR_FORCE") => true,
            Color::Auto => std::io::stdout().is_terminal() && terminal && !dumb,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let ascii = !locale.unwrap_or_default().to_ascii_lowercase().replace('-', "").contains("utf8");
        Say { progress, color, ascii, json }
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn good(&self, text: &str) -> String {
        self.paint(32, text)
    }

    pub fn bad(&self, text: &str) -> String {
        self.paint(31, text)
    }

    pub fn warn(&self, text: &str) -> String {
        self.paint(33, text)
    }

    pub fn strong(&self, text: &str) -> String {
        self.paint(1, text)
    }

    pub fn tick(&self) -> &'static str {
        if self.ascii { "+" } else { "✔" }
    }

    pub fn cross(&self) -> &'static str {
        if self.ascii { "x" } else { "✖" }
    }

    fn arrow(&self) -> &'static str {
        if self.ascii { ">" } else { "▸" }
    }

    /// A line to standard error that is not a step.
    pub fn note(&self, text: &str) {
        match self.progress {
            Progress::Quiet => {}
            Progress::Json => {
                tell(serde_json::json!({ "schema": "plait.note/1", "text": text }));
            }
            _ => tell(format_args!("{} {text}", self.warn("!"))),
        }
    }

    /// Begins a step that is waited for.
    pub fn step(&self, id: &'static str, text: impl Into<String>) -> Step<'_> {
        self.step_since(id, text, Instant::now())
    }

    /// The same, for a step that began earlier beside others.
    pub fn step_since(&self, id: &'static str, text: impl Into<String>, began: Instant) -> Step<'_> {
        let text = text.into();
        if self.progress == Progress::Tty {
            show(format_args!("{} {text}", self.arrow()));
        }
        if self.progress == Progress::Json {
            tell(serde_json::json!({ "schema": "plait.step/1", "step": id, "state": "begun", "text": text }));
        }
        Step { say: self, id, text, began, over: false }
    }

    /// The result: one document with `--json`, else the text.
    pub fn result(&self, verb: &str, document: serde_json::Value, text: impl FnOnce() -> String) {
        if self.json {
            let mut whole = serde_json::Map::new();
            whole.insert("schema".into(), format!("plait.{verb}/1").into());
            match document {
                serde_json::Value::Object(fields) => whole.extend(fields),
                other => {
                    whole.insert("value".into(), other);
                }
            }
            print_line(&serde_json::Value::Object(whole).to_string());
        } else {
            let text = text();
            if !text.is_empty() {
                print_line(text.trim_end_matches('\n'));
            }
        }
    }

    pub fn failed(&self, fail: &crate::fail::Fail) {
        if self.json {
            print_line(&fail.json().to_string());
        } else {
            tell(format_args!("{} {fail}", self.bad(&format!("{} error:", self.cross()))));
        }
    }
}

/// Prints a line; a reader that has gone away (`plait … | head`) ends the program without a complaint.
pub fn print_line(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A line to standard error. That nobody reads it (`plait up 2>&1 | head -1`) is no reason to end halfway.
fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The same without ending the line.
fn show(text: impl std::fmt::Display) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{text}");
    let _ = stderr.flush();
}

/// A step under way.
pub struct Step<'a> {
    say: &'a Say,
    id: &'static str,
    text: String,
    began: Instant,
    over: bool,
}

impl Step<'_> {
    /// Changes what the line of a terminal says.
    pub fn now(&self, text: &str) {
        if self.say.progress == Progress::Tty {
            show(format_args!("\r\x1b[K{} {}: {text}", self.say.arrow(), self.text));
        }
    }

    pub fn done(mut self, outcome: &str) {
        self.end(true, outcome);
    }

    fn end(&mut self, good: bool, outcome: &str) {
        self.over = true;
        let took = self.began.elapsed();
        let text = if outcome.is_empty() { self.text.clone() } else { format!("{}: {outcome}", self.text) };
        let mark = if good { self.say.good(self.say.tick()) } else { self.say.bad(self.say.cross()) };
        match self.say.progress {
            Progress::Quiet => {}
            Progress::Json => {
                let state = if good { "done" } else { "failed" };
                tell(serde_json::json!({
                    "schema": "plait.step/1", "step": self.id, "state": state, "text": text,
                    "took_s": took.as_secs_f64()
                }));
            }
            Progress::Tty => tell(format_args!("\r\x1b[K{mark} {text}  {}", span(took))),
            Progress::Plain | Progress::Auto => tell(format_args!("{mark} {text}  {}", span(took))),
        }
    }
}

impl Drop for Step<'_> {
    /// A step that was left by an error is shown as failed; the error itself follows.
    fn drop(&mut self) {
        if !self.over {
            self.end(false, "");
        }
    }
}

/// A span as a person reads it.
pub fn span(d: Duration) -> String {
    let micros = d.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1000),
        1_000_000..120_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => format!("{} min {} s", d.as_secs() / 60, d.as_secs() % 60),
    }
}

/// Bytes as a person reads them.
pub fn bytes(n: u64) -> String {
    match n {
        0..10_240 => format!("{n} B"),
        10_240..10_485_760 => format!("{} KiB", n >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", n >> 20),
        _ => format!("{} GiB", n >> 30),
    }
}

/// Columns as wide as their widest cell. Widths are counted in characters.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', widths[c] - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let rows = [vec!["node".into(), "state".into()], vec!["n1".into(), "Synced".into()]];
        assert_eq!(table(&rows), "node  state\nn1    Synced\n");
    }

    #[test]
    fn spans_and_sizes_read_well() {
        assert_eq!(span(Duration::from_micros(850)), "850 µs");
        assert_eq!(span(Duration::from_micros(2_350)), "2.4 ms");
        assert_eq!(span(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(span(Duration::from_secs(130)), "2 min 10 s");
        assert_eq!(bytes(13 << 20), "13 MiB");
    }
}
