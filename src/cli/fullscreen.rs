//! The whole terminal as a screen: taken, and given back however the program leaves it.

use std::backtrace::Backtrace;
use std::io::{self, Stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste};
use crossterm::event::{Event, EventStream, KeyCode, PopKeyboardEnhancementFlags};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use futures_util::StreamExt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// Whether the terminal is a screen now.
static IS_ON: AtomicBool = AtomicBool::new(false);
/// What a panic had to say while it was one.
static KEPT: Mutex<Option<String>> = Mutex::new(None);

/// The screen; dropped, the terminal is as it was.
pub(super) struct Fullscreen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    _taken: Taken,
}

struct Taken;

impl Fullscreen {
    /// Takes the terminal.
    pub(super) fn enter() -> io::Result<Fullscreen> {
        static HOOK: Once = Once::new();
        HOOK.call_once(keep_panics_off_the_screen);
        enable_raw_mode()?;
        IS_ON.store(true, Ordering::Relaxed);
        let taken = Taken;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        Ok(Fullscreen { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, _taken: taken })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        leave_screen();
        disable_raw_mode().ok();
        IS_ON.store(false, Ordering::Relaxed);
        if let Some(told) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take() {
            eprintln!("{told}");
        }
    }
}

fn leave_screen() {
    execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show).ok();
}

/// A panic need not end the program: those of tasks and of other threads do not. So none gives the terminal back by itself,
/// and none is printed over the screen: what it has to say is told when the screen is left.
fn keep_panics_off_the_screen() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !IS_ON.load(Ordering::Relaxed) {
            return others(panic);
        }
        let thread = std::thread::current();
        let told = format!("thread {:?} {panic}\n{}", thread.name().unwrap_or("?"), Backtrace::capture());
        *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }));
}

/// How the terminal was: what another program may leave otherwise.
pub(super) struct Before {
    #[cfg(unix)]
    modes: Option<rustix::termios::Termios>,
}

impl Before {
    /// How it is now.
    pub(super) fn now() -> Before {
        Before {
            #[cfg(unix)]
            modes: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }

    /// Makes it so again.
    pub(super) fn restore(&self) {
        #[cfg(unix)]
        if let Some(modes) = &self.modes {
            rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, modes).ok();
        }
    }

    /// The same after a program that could not take back what it had asked of the terminal.
    pub(super) fn restore_all(&self) {
        execute!(io::stdout(), PopKeyboardEnhancementFlags, DisableMouseCapture, DisableFocusChange).ok();
        leave_screen();
        self.restore();
    }
}

/// Until somebody presses Enter, or whatever else means that he has seen enough.
pub(super) async fn pressed_enter() -> io::Result<()> {
    enable_raw_mode()?;
    let _raw = Raw;
    let mut events = EventStream::new();
    while let Some(Ok(event)) = events.next().await {
        let is_it = |code| matches!(code, KeyCode::Enter | KeyCode::Esc | KeyCode::Char('q' | 'c'));
        if matches!(event, Event::Key(key) if is_it(key.code)) {
            break;
        }
    }
    Ok(())
}

/// Keys come one by one; dropped, they do not any more.
struct Raw;

impl Drop for Raw {
    fn drop(&mut self) {
        disable_raw_mode().ok();
    }
}
