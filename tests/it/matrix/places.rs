//! The places where a side that breaks can stand, and what follows from a row for each of them.

use super::expected::{GOOD, Outcome, Serves, moved};
use super::faults;
use super::row::{End, Fault, NEXT, Side, Then};
use super::talk::{Ended, Got, Question, Speaks, Talk};
use crate::harness::{Gate, Proxy, Setup, wait_until};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Old serves, and breaks.
    Old,
    /// The same on a connection that has served before.
    Used,
    /// A switch says new, which breaks.
    New,
    /// The share says new, which breaks; old may be asked instead.
    Share,
    /// Old serves well, and the copy goes to new, which breaks.
    CopyToNew,
    /// New serves well, and the copy goes to old, which breaks.
    CopyToOld,
}

/// A column: where the side stands, what is asked, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) place: Place,
    pub(super) method: &'static str,
    /// Whether the route says that its POST is a read.
    pub(super) read: bool,
    pub(super) speaks: Speaks,
    /// Whether the side waits, before it breaks, until the client has all that came before.
    waits: bool,
}

impl Column {
    const fn new(place: Place, method: &'static str) -> Self {
        Self {
            place,
            method,
            read: false,
            speaks: Speaks::Http11,
            waits: true,
        }
    }

    const fn over(self, speaks: Speaks) -> Self {
        Self { speaks, ..self }
    }
}

macro_rules! columns {
    ($($name:ident: $column:expr;)*) => {
        $(#[test] fn $name() { check($column); })*
    };
}

columns! {
    old_breaks_for_a_read: Column::new(Place::Old, "GET");
    old_breaks_for_a_write: Column::new(Place::Old, "POST");
    old_breaks_for_a_read_at_once: Column { waits: false, ..Column::new(Place::Old, "GET") };
    old_breaks_on_a_used_connection_for_a_read: Column::new(Place::Used, "GET");
    old_breaks_on_a_used_connection_for_a_write: Column::new(Place::Used, "POST");
    new_breaks_where_a_switch_says_new_for_a_read: Column::new(Place::New, "GET");
    new_breaks_where_a_switch_says_new_for_a_write: Column::new(Place::New, "POST");
    new_breaks_where_old_may_answer: Column::new(Place::Share, "GET");
    new_breaks_where_old_may_answer_a_read_with_a_body: Column { read: true, ..Column::new(Place::Share, "POST") };
    new_breaks_where_writes_go_to_old: Column::new(Place::Share, "POST");
    new_breaks_for_a_copy: Column::new(Place::CopyToNew, "GET");
    new_breaks_for_a_copy_with_a_body: Column { read: true, ..Column::new(Place::CopyToNew, "POST") };
    old_breaks_for_a_copy: Column::new(Place::CopyToOld, "GET");
    old_breaks_for_a_client_of_http_1_0: Column::new(Place::Old, "GET").over(Speaks::Http10);
    old_breaks_for_a_client_of_http_1_0_at_once: Column { waits: false, ..Column::new(Place::Old, "GET").over(Speaks::Http10) };
    old_breaks_for_a_client_of_http_2: Column::new(Place::Old, "GET").over(Speaks::Http2);
    old_breaks_for_a_write_of_http_2: Column::new(Place::Old, "POST").over(Speaks::Http2);
    old_breaks_for_a_client_of_http_2_at_once: Column { waits: false, ..Column::new(Place::Old, "GET").over(Speaks::Http2) };
    new_breaks_for_a_client_of_http_2_where_old_may_answer: Column::new(Place::Share, "GET").over(Speaks::Http2);
    old_breaks_inside_tls_for_a_client_of_http_1_0: Column::new(Place::Old, "GET").over(Speaks::Tls10);
    old_breaks_inside_tls_for_a_client_of_http_1_1: Column::new(Place::Old, "GET").over(Speaks::Tls11);
    old_breaks_inside_tls_for_a_client_of_http_2: Column::new(Place::Old, "GET").over(Speaks::Tls2);
}

/// Rows that are met at once.
const AT_ONCE: usize = 4;

/// Meets all rows in one place, and tells all that went wrong.
#[track_caller]
fn check(column: Column) {
    let faults: Vec<_> = faults()
        .into_iter()
        .filter(|fault| column.has(fault))
        .collect();
    let next = AtomicUsize::new(0);
    let wrong: Vec<_> = std::thread::scope(|scope| {
        let meet = || {
            let mut wrong = Vec::new();
            while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = column.meet(fault) {
                    wrong.push(format!("{}: {error}", fault.what));
                }
            }
            wrong
        };
        let threads = [(); AT_ONCE].map(|()| scope.spawn(meet));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    assert!(wrong.is_empty(), "{column:?}\n{}", wrong.join("\n"));
}

impl Column {
    /// Whether a row can be met here.
    fn has(&self, fault: &Fault) -> bool {
        if self.place == Place::Used && (!fault.reads || fault.needs_a_limit(false)) {
            // Whether it is found closed before or after it was used is up to the moment; and a limit would be too short for the request before.
            return false;
        }
        let begins = !matches!(fault.end, End::Fails(_));
        match self.speaks {
            _ if self.is_spared() => !fault.goes_on(),
            _ if !self.waits => matches!(fault.end, End::Breaks(..)),
            Speaks::Http11 | Speaks::Http2 => true,
            // What the proxy says by itself is the same text.
            Speaks::Http10 | Speaks::Tls10 | Speaks::Tls11 | Speaks::Tls2 => begins,
        }
    }

    fn setup(&self, fault: &Fault, bad: &Side, good: &Side) -> Setup {
        let (old, new, section, migration) = match self.place {
            Place::Old | Place::Used => (bad, good, "old", ""),
            Place::New => (good, bad, "new", "serve = \"new\""),
            Place::Share | Place::CopyToNew => (good, bad, "new", ""),
            Place::CopyToOld => (bad, good, "old", "serve = \"new\""),
        };
        let percent = if self.place == Place::Share { 100 } else { 0 };
        let shadow = match self.place {
            Place::CopyToNew | Place::CopyToOld => format!(
                "shadow = {{ percent = 100, timeout = \"{}\" }}",
                // Of the whole copy: long enough for a slow machine to send it.
                if matches!(fault.end, End::Hangs(_)) {
                    "1s"
                } else {
                    "15s"
                }
            ),
            Place::Old | Place::Used | Place::New | Place::Share => String::new(),
        };
        Setup::new(old, new)
            .workers(1)
            .set("migration", migration)
            .set(section, fault.limits())
            .route(&format!(
                "name = \"items\"\nmatch = \"GET,POST /items/{{id}}\"\nkey = \"{{path.id}}\"\nread = {}\npercent = {percent}\n{shadow}",
                self.read
            ))
    }

    fn question(&self, fault: &Fault) -> Question {
        let serves = self.serves(fault);
        let (enough, leaves) = match (serves, fault.end) {
            (Serves::Bad, End::Breaks(_, part)) => (part.len(), false),
            (Serves::Bad, End::Hangs(part)) => (part.len(), true),
            (_, End::Whole(_, body, _)) => (body.len(), false),
            _ => (0, false),
        };
        let gate = if serves == Serves::Bad {
            fault.gate.clone()
        } else {
            Gate::default()
        };
        Question {
            method: self.method,
            target: "/items/first",
            body: if self.method == "POST" { "body" } else { "" },
            gate: (gate, enough),
            leaves,
        }
    }

    fn meet(&self, fault: &Fault) -> Result<(), String> {
        let used = self.place == Place::Used;
        let (bad, good) = (fault.side(usize::from(used)), Side::good(GOOD));
        let proxy = self.speaks.start(self.setup(fault, &bad, &good));
        let mut talk = self.speaks.connect(&proxy);
        if used {
            talk.ask(&next_question());
        }
        let before = proxy.settle();
        let nobody_follows = !self.waits || self.is_copy();
        if nobody_follows && matches!(fault.end, End::Breaks(..) | End::Whole(..)) {
            fault.gate.open();
        }
        let mut got = talk.ask(&self.question(fault));
        if got.ended != Ended::Clean || !self.speaks.stays() {
            talk = self.speaks.connect(&proxy);
        }
        let after = proxy.settle();
        fault.gate.open();
        let expected = self.expect(fault);
        if !self.waits && got.ended == Ended::Broken && expected.got.body.starts_with(&got.body) {
            // What breaks at once may take with it what came before.
            got.clone_from(&expected.got);
        }
        let mut outcome = Outcome {
            got,
            bad: if fault.reads {
                bad.received_by_now(&expected.bad)
            } else {
                bad.received()
            },
            good: good.received(),
            moved: moved(&before, &after),
        };
        if !fault.reads && outcome.bad.len() == 1 && expected.bad[0].starts_with(&outcome.bad[0]) {
            outcome.bad.clone_from(&expected.bad);
        }
        if outcome != expected {
            return Err(format!("expected {expected:#?}, but {outcome:#?}"));
        }
        self.go_on(fault, &proxy, &mut talk, [&bad, &good], expected)
    }

    /// One more request gets its own answer, on a connection that nothing of the fault is left on.
    fn go_on(
        &self,
        fault: &Fault,
        proxy: &Proxy,
        talk: &mut Talk,
        [bad, good]: [&Side; 2],
        mut expected: Outcome,
    ) -> Result<(), String> {
        if !fault.goes_on() || self.is_spared() {
            return Ok(());
        }
        if fault.needs_a_limit(self.is_copy()) {
            // The limit would be too short for another one.
            wait_until("the broken connection is closed", || bad.open() == 0);
            return Ok(());
        }
        if matches!(fault.end, End::Whole(..)) {
            wait_until("all of the fault is there", || bad.sent() >= fault.length());
        }
        let got = talk.ask(&next_question());
        proxy.settle();
        let copied = self.is_copy();
        let answer = if copied { GOOD } else { NEXT };
        if got != Got::whole(200, answer) {
            return Err(format!("the next request: {got:?}"));
        }
        let asked = self.text("GET", "/items/next", copied);
        match fault.end {
            End::Whole(.., Then::Keeps) => *expected.bad.last_mut().unwrap() += &asked,
            _ if expected.bad.len() > 1 => *expected.bad.last_mut().unwrap() += &asked,
            _ => expected.bad.push(asked),
        }
        let received = bad.received();
        if received[1..] != expected.bad[1..] || fault.reads && received != expected.bad {
            return Err(format!(
                "the next request: expected {:#?}, but {received:#?}",
                expected.bad
            ));
        }
        let asked = self.text("GET", "/items/next", false);
        if copied {
            expected.good[0] += &asked;
        }
        if good.received() != expected.good {
            return Err(format!(
                "the next request: expected {:#?}, but {:#?}",
                expected.good,
                good.received()
            ));
        }
        wait_until(fault.what, || bad.open() == 1);
        Ok(())
    }

    pub(super) fn is_copy(&self) -> bool {
        matches!(self.place, Place::CopyToNew | Place::CopyToOld)
    }

    /// Whether the side that would break is never asked.
    pub(super) fn is_spared(&self) -> bool {
        self.place == Place::Share && self.method == "POST" && !self.read
    }
}

/// What is asked before and after.
fn next_question() -> Question {
    Question {
        method: "GET",
        target: "/items/next",
        body: "",
        gate: (Gate::default(), 0),
        leaves: false,
    }
}
