//! The first requests of a connection begin in turns.
//!
//! A request of HTTP/2 may come in 13 bytes, and takes some kilobytes until it is answered. So a client that has sent next to nothing has but a few that nobody
//! has answered yet; the others stay what they are, bytes, and begin as answers go. With what it sends a client comes to have as many at once as it likes,
//! after some hundred requests for good. Where a side takes its time (long polls, calls that stream) nobody waits for answers: when a turn has brought
//! none, twice as many may begin, and what waits for some turns keeps nobody waiting.
//!
//! A worker that has more to do than there is time keeps answers waiting, too, and would let all begin at the worst moment. It is known by turns that end late,
//! which count for nothing, up to a bound.

use std::time::Duration;

/// Requests that any client may have begun.
const FIRST: usize = 4;
/// Bytes that pay for one more.
const BYTES: usize = 512;

/// Turns after which nobody waits for an answer any more.
const LONG: u8 = 16;
/// A turn that ends so much too late says nothing of those that answer: who ends it is late with their answers as well.
const LATE: Duration = Duration::from_millis(3);
/// Such turns in a row, after which one counts.
const MOST_LATE: u8 = 8;
/// With which no number of streams is reached that anybody allows.
const MOST_DOUBLED: u32 = 24;

/// The requests that have begun, and wait for the beginning of their answers.
#[derive(Debug)]
pub(super) struct Turns {
    /// Each with the turns that it has waited for.
    waiting: Vec<(u32, u8)>,
    /// What the client has sent, in bytes.
    sent: usize,
    /// How often as many as before may begin besides.
    doubled: u32,
    /// Answers that have begun in this turn.
    answered: usize,
    /// Turns in a row that have ended too late.
    late: u8,
    /// Streams that there may be.
    most: usize,
}

impl Turns {
    /// Of a connection that may have so many streams at once.
    pub(super) fn new(streams: u32) -> Self {
        Self {
            waiting: Vec::new(),
            sent: 0,
            doubled: 0,
            answered: 0,
            late: 0,
            most: streams as usize,
        }
    }

    /// Bytes came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// A request has begun.
    pub(super) fn begin(&mut self, stream: u32) {
        if !self.are_over() {
            self.waiting.push((stream, 0));
        }
    }

    /// Its answer begins, or it is over without one.
    pub(super) fn end(&mut self, stream: u32) {
        if let Some(place) = self.waiting.iter().position(|waits| waits.0 == stream) {
            self.waiting.swap_remove(place);
            self.answered += 1;
        }
        if self.waiting.is_empty() {
            self.doubled = 0;
        }
    }

    /// Whether so many more may begin.
    pub(super) fn have_room(&self, requests: usize) -> bool {
        self.are_over() || self.waiting.len() + requests <= self.allowed()
    }

    /// The time of a turn is over, and has been for so long.
    pub(super) fn next(&mut self, since: Duration) {
        if since >= LATE && self.late < MOST_LATE {
            self.late += 1;
            return;
        }
        self.late = 0;
        if std::mem::take(&mut self.answered) == 0 {
            self.doubled = (self.doubled + 1).min(MOST_DOUBLED);
        }
        self.waiting.retain_mut(|(_, turns)| {
            *turns += 1;
            *turns < LONG
        });
    }

    fn allowed(&self) -> usize {
        (FIRST + self.sent / BYTES).saturating_mul(1 << self.doubled)
    }

    /// Whether the client has paid for all that it may have.
    fn are_over(&self) -> bool {
        self.sent / BYTES >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins as many as may begin; how many there were.
    fn fill(turns: &mut Turns, next: &mut u32) -> usize {
        let before = *next;
        while turns.have_room(1) && *next - before < 1_000 {
            turns.begin(*next);
            *next += 1;
        }
        (*next - before) as usize
    }

    #[test]
    fn bytes_pay_for_requests() {
        let check = |sent: usize, expected: usize| {
            let mut turns = Turns::new(100);
            turns.came(sent);
            assert_eq!(fill(&mut turns, &mut 1), expected, "{sent}");
        };
        check(0, FIRST);
        check(100 * 14, FIRST + 2);
        check(100 * 60, FIRST + 11);
        check(99 * BYTES, FIRST + 99);
        check(100 * BYTES, 1_000);
    }

    #[test]
    fn bytes_add_up_and_who_has_paid_for_all_is_not_followed_any_more() {
        let mut turns = Turns::new(100);
        turns.came(BYTES);
        turns.came(BYTES);
        assert_eq!(fill(&mut turns, &mut 1), FIRST + 2);
        turns.came(98 * BYTES);
        assert!(turns.have_room(1_000_000));
        turns.came(usize::MAX);
        assert!(turns.have_room(1_000_000));
        let before = turns.waiting.len();
        assert_eq!(fill(&mut turns, &mut 1_001), 1_000);
        assert_eq!(turns.waiting.len(), before);
    }

    #[test]
    fn there_is_room_for_all_that_is_asked_for_or_none() {
        let mut turns = Turns::new(100);
        turns.begin(1);
        assert!(turns.have_room(FIRST - 1));
        assert!(!turns.have_room(FIRST));
    }

    #[test]
    fn one_begins_when_another_is_answered() {
        let mut turns = Turns::new(100);
        let mut next = 1;
        assert_eq!(fill(&mut turns, &mut next), FIRST);
        turns.end(3);
        turns.end(3);
        turns.end(99);
        assert_eq!(fill(&mut turns, &mut next), 1);
        // That was an answer; what nobody waits for is none.
        turns.next(Duration::ZERO);
        turns.end(99);
        assert_eq!(fill(&mut turns, &mut next), 0);
        turns.next(Duration::ZERO);
        assert_eq!(fill(&mut turns, &mut next), FIRST);
    }

    #[test]
    fn more_begin_when_a_turn_has_brought_no_answer() {
        let mut turns = Turns::new(100);
        let mut next = 1;
        fill(&mut turns, &mut next);
        turns.next(Duration::ZERO);
        assert_eq!(fill(&mut turns, &mut next), FIRST);
        // As many as there may be come within five turns, whatever was sent.
        for _ in 0..4 {
            turns.next(Duration::ZERO);
            fill(&mut turns, &mut next);
        }
        assert!(next as usize > 32 * FIRST);
        // And it stays so while there is one that waits.
        turns.end(1);
        assert_eq!(fill(&mut turns, &mut next), 1);
        turns.end(2);
        assert!(turns.have_room(1));
        // When all are answered it is as in the beginning.
        (1..next).for_each(|stream| turns.end(stream));
        assert_eq!(fill(&mut turns, &mut next), FIRST);
    }

    #[test]
    fn none_but_answers_make_room_while_they_come() {
        let mut turns = Turns::new(100);
        let mut next = 1;
        fill(&mut turns, &mut next);
        for first in 0..10 {
            // None waits for long: they are answered in the order in which they began.
            (0..2).for_each(|stream| turns.end(2 * first + stream + 1));
            assert_eq!(fill(&mut turns, &mut next), 2);
            turns.next(Duration::ZERO);
            assert_eq!(fill(&mut turns, &mut next), 0);
        }
    }

    #[test]
    fn who_waits_for_long_keeps_nobody_waiting() {
        let mut turns = Turns::new(100);
        let mut next = 1;
        fill(&mut turns, &mut next);
        // The last one is answered in each turn, the others never.
        for turn in 1..=LONG {
            turns.end(next - 1);
            assert_eq!(fill(&mut turns, &mut next), 1);
            turns.next(Duration::ZERO);
            let free = fill(&mut turns, &mut next);
            assert_eq!(free, if turn == LONG { FIRST - 1 } else { 0 });
        }
    }

    #[test]
    fn however_long_nobody_answers_more_may_begin() {
        let mut turns = Turns::new(100);
        let mut next = 1;
        fill(&mut turns, &mut next);
        for _ in 0..300 {
            turns.next(Duration::ZERO);
            assert!(fill(&mut turns, &mut next) > 0);
        }
        // All but those that have just begun have waited for too long to count.
        (0..LONG).for_each(|_| turns.next(Duration::ZERO));
        turns.end(next - 1);
        assert_eq!(fill(&mut turns, &mut next), FIRST);
    }

    #[test]
    fn a_worker_that_is_late_lets_no_more_begin() {
        let mut turns = Turns::new(100);
        let mut next = 1;
        fill(&mut turns, &mut next);
        for round in 0..3 {
            for late in 0..MOST_LATE {
                turns.next(LATE);
                assert_eq!(fill(&mut turns, &mut next), 0, "{round} {late}");
            }
            // It has been late for long, or is so no more.
            turns.next(if round < 2 { LATE } else { Duration::ZERO });
            assert_eq!(fill(&mut turns, &mut next), FIRST << round);
        }
        turns.next(LATE - Duration::from_micros(1));
        assert_eq!(fill(&mut turns, &mut next), FIRST << 3);
    }
}
