//! How many fields of a route are of which kind: told by whoever knows, when a page is written.

use crate::compare::noise::State;
use crate::telemetry::cells::GaugeCell;
use crate::telemetry::page::Series;

/// A gauge for each state of a field.
#[derive(Debug, Default)]
pub struct FieldStates([GaugeCell; State::ALL.len()]);

impl FieldStates {
    /// So many fields are in this state now.
    pub fn set(&self, state: State, fields: usize) {
        self.0[state as usize].set(fields as u64);
    }

    /// The series of a route.
    pub(super) fn write(&self, route: &str, series: &mut Series<'_>) {
        for state in State::ALL {
            let labels = [("route", route), ("state", state.name())];
            series.value(&labels, self.0[state as usize].value());
        }
    }
}
