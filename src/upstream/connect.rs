//! A connection to an endpoint, within one time limit for all that it takes.

use crate::upstream::failure::Fault;
use crate::upstream::place::Place;
use crate::upstream::stream::Stream;
use std::time::Duration;
use tokio::time::timeout;

pub(super) async fn connect(place: &Place, limit: Duration) -> Result<Stream, Fault> {
    timeout(limit, place.dial())
        .await
        .map_err(|_| Fault::ConnectTimeout)?
        .map_err(Fault::Connect)
}
