//! The terminal: the alternate screen, drawn in place, and the keys. Whatever happens, it is given back as it was.

use crate::config::Colour;
use crate::demo::screen::{Line, Tone};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue};
use std::io::{self, IsTerminal, Stdout, Write};
use std::panic;
use std::thread;
use std::time::Duration;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Start the children again that are down.
    Restart,
    /// End the demo.
    Quit,
    /// Draw anew: the size has changed.
    Redraw,
}

/// A terminal in raw mode on its alternate screen. Dropping it gives it back.
#[derive(Debug)]
pub struct Terminal {
    out: Stdout,
    colour: Colour,
}

impl Terminal {
    /// Whether there is a terminal to draw on and to read keys from.
    #[must_use]
    pub fn present() -> bool {
        io::stdout().is_terminal() && io::stdin().is_terminal()
    }

    /// Takes the terminal.
    pub fn enter(colour: Colour) -> io::Result<Self> {
        tell_panics_elsewhere();
        terminal::enable_raw_mode()?;
        // From here on the drop gives back what the next line may only half have taken.
        let mut taken = Self {
            out: io::stdout(),
            colour,
        };
        execute!(taken.out, EnterAlternateScreen, cursor::Hide)?;
        Ok(taken)
    }

    /// Columns and rows.
    pub fn size(&self) -> io::Result<(usize, usize)> {
        let (columns, rows) = terminal::size()?;
        Ok((usize::from(columns), usize::from(rows)))
    }

    /// Shows these lines and nothing else.
    pub fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        queue!(self.out, BeginSynchronizedUpdate)?;
        for (row, line) in (0_u16..).zip(lines) {
            queue!(self.out, cursor::MoveTo(0, row))?;
            for (tone, text) in &line.0 {
                self.pick(*tone)?;
                queue!(
                    self.out,
                    Print(text),
                    SetAttribute(Attribute::Reset),
                    ResetColor
                )?;
            }
            queue!(self.out, Clear(ClearType::UntilNewLine))?;
        }
        let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        queue!(
            self.out,
            cursor::MoveTo(0, rows),
            Clear(ClearType::FromCursorDown),
            EndSynchronizedUpdate
        )?;
        self.out.flush()
    }

    fn pick(&mut self, tone: Tone) -> io::Result<()> {
        let (attribute, shade) = match tone {
            Tone::Plain => return Ok(()),
            Tone::Bar => (Attribute::Reverse, None),
            Tone::Strong => (Attribute::Bold, None),
            Tone::Faint => (Attribute::Dim, None),
            Tone::Good => (Attribute::NormalIntensity, Some(Color::Green)),
            Tone::Warn => (Attribute::NormalIntensity, Some(Color::Yellow)),
            Tone::Bad => (Attribute::Bold, Some(Color::Red)),
        };
        queue!(self.out, SetAttribute(attribute))?;
        match (self.colour, shade) {
            (Colour::On, Some(shade)) => queue!(self.out, SetForegroundColor(shade)),
            (Colour::On, None) | (Colour::Off, _) => Ok(()),
        }
    }

    /// Waits that long at most for a key that means something.
    pub fn wish(&self, patience: Duration) -> io::Result<Option<Wish>> {
        if event::poll(patience)? {
            Ok(meaning(&event::read()?))
        } else {
            Ok(None)
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

pub(crate) fn restore() {
    // Nothing is left to do about a terminal that takes no more bytes.
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        cursor::Show,
        LeaveAlternateScreen
    );
    let _ = terminal::disable_raw_mode();
}

/// A panic's text would vanish with the alternate screen, so the terminal is given back first. Only a panic of the thread
/// that draws ends the demo; those of others are caught where they happen, and their text belongs into the log.
fn tell_panics_elsewhere() {
    let drawing = thread::current().id();
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == drawing {
            restore();
            told(info);
        } else {
            tracing::error!("{info}");
        }
    }));
}

fn meaning(event: &Event) -> Option<Wish> {
    match event {
        Event::Key(KeyEvent {
            kind: KeyEventKind::Release,
            ..
        }) => None,
        Event::Key(key) => match key.code {
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                Some(Wish::Quit)
            }
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wish::Quit),
            KeyCode::Char('r' | 'R') => Some(Wish::Restart),
            _ => None,
        },
        Event::Resize(..) => Some(Wish::Redraw),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: KeyCode, modifiers: KeyModifiers, expected: Option<Wish>) {
        assert_eq!(
            meaning(&Event::Key(KeyEvent::new(code, modifiers))),
            expected,
            "{code:?}"
        );
    }

    #[test]
    fn keys() {
        check(KeyCode::Char('q'), KeyModifiers::NONE, Some(Wish::Quit));
        check(KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Wish::Quit));
        check(KeyCode::Char('c'), KeyModifiers::NONE, None);
        check(KeyCode::Char('r'), KeyModifiers::NONE, Some(Wish::Restart));
        check(KeyCode::Char('R'), KeyModifiers::SHIFT, Some(Wish::Restart));
        check(KeyCode::Enter, KeyModifiers::NONE, None);
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Wish::Redraw));
        let mut release = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert_eq!(meaning(&Event::Key(release)), None);
    }
}
