//! What the sides answer: pairs that are equal but for the order of names, that differ, or that have a clock in them.

/// Of so many pairs one differs.
const MISMATCH: usize = 20;

/// How the pairs of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Same,
    Reordered,
    /// One in twenty differs, and does so whenever it is asked.
    Defect,
    /// One in twenty has a clock in it, another time whenever it is asked.
    Clock,
    /// The same, and nobody knows that it is noise.
    Unknown,
    /// Each of them has, and that is known.
    Clocks,
}

pub(crate) const KINDS: [(Kind, &str); 6] = [
    (Kind::Same, "equal bytes"),
    (Kind::Reordered, "reordered"),
    (Kind::Defect, "reordered, 1 in 20 differs"),
    (Kind::Clock, "reordered, a clock in 1 of 20"),
    (Kind::Unknown, "the same, not known as noise"),
    (Kind::Clocks, "reordered, a clock in each"),
];

/// Answers of one size.
pub(crate) struct Bodies {
    /// Old's answer, new's that says the same, and new's that does not.
    plain: [Vec<u8>; 3],
    /// What a pair with a clock is given: at first, when it is asked again, and when old is asked twice; and where the time stands on either side.
    clocks: [[Vec<u8>; 2]; 5],
    places: [usize; 2],
    /// Seconds that the clock has shown.
    moment: usize,
}

/// A time that stands once in old's answer and in new's: there the clock is.
pub(crate) const CLOCK: &str = "2026-01-01T23:59:59Z";

/// A pair, and what both sides say when they are asked again.
pub(crate) struct Case<'b> {
    pub(crate) first: [&'b [u8]; 2],
    pub(crate) again: [[&'b [u8]; 2]; 3],
    pub(crate) twice: &'b [u8],
}

impl Bodies {
    /// With old's answer and new's, in which there is a clock.
    pub(crate) fn new(plain: [Vec<u8>; 3], clocks: &[Vec<u8>; 2]) -> Self {
        let place = |body: &Vec<u8>| {
            let mut windows = body.windows(CLOCK.len());
            windows.position(|text| text == CLOCK.as_bytes())
        };
        Self {
            plain,
            places: clocks
                .each_ref()
                .map(|body| place(body).expect("there is a clock")),
            clocks: [(); 5].map(|()| clocks.clone()),
            moment: 0,
        }
    }

    /// The pair of a turn.
    pub(crate) fn case(&mut self, kind: Kind, turn: usize) -> Case<'_> {
        let is_odd = turn.is_multiple_of(MISMATCH);
        let has_clock = match kind {
            Kind::Same | Kind::Reordered | Kind::Defect => false,
            Kind::Clock | Kind::Unknown => is_odd,
            Kind::Clocks => true,
        };
        if has_clock {
            self.tick();
            let [first, one, two, three, twice] = self
                .clocks
                .each_ref()
                .map(|bodies| bodies.each_ref().map(Vec::as_slice));
            return Case {
                first,
                again: [one, two, three],
                twice: twice[0],
            };
        }
        let [old, same, other] = self.plain.each_ref().map(Vec::as_slice);
        let new = match kind {
            Kind::Same => old,
            Kind::Defect if is_odd => other,
            Kind::Reordered | Kind::Defect | Kind::Clock | Kind::Unknown | Kind::Clocks => same,
        };
        Case {
            first: [old, new],
            again: [[old, new]; 3],
            twice: old,
        }
    }

    /// Shows a time of its own in each answer.
    fn tick(&mut self) {
        for body in self.clocks.iter_mut() {
            for (side, body) in body.iter_mut().enumerate() {
                self.moment += 1;
                let units = [
                    self.moment / 3_600 % 24,
                    self.moment / 60 % 60,
                    self.moment % 60,
                ];
                for (unit, behind) in units.into_iter().zip([11, 14, 17]) {
                    let digits = &mut body[self.places[side] + behind..][..2];
                    digits.copy_from_slice(&[b'0' + (unit / 10) as u8, b'0' + (unit % 10) as u8]);
                }
            }
        }
    }
}
