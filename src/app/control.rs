//! The control thread: admin API, following files.

use crate::admin::{self, Admin};
use crate::app::certificates::Renewal;
use crate::app::failure::StartError;
use crate::app::running::Shared;
use crate::app::threads::Runtimes;
use crate::app::watch::Follower;
use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

/// Starts the control thread.
pub(super) fn begin(
    runtimes: &mut Runtimes,
    listener: TcpListener,
    (follower, reloads): (Option<Follower>, UnboundedReceiver<oneshot::Sender<()>>),
    renewal: Renewal,
    shared: &Shared,
) -> Result<(), StartError> {
    let router = admin::router(Admin {
        live: Arc::clone(&shared.live),
        telemetry: Arc::clone(&shared.telemetry),
        mismatches: Arc::clone(&shared.mismatches),
        state: Arc::clone(&shared.state),
        readiness: shared.readiness.clone(),
        address: listener.local_addr()?,
    });
    runtimes.control(move |stop| async move {
        let mut stopped = stop.clone();
        let admin = admin::serve(listener, router, admin::Limits::default(), async move {
            // An error says that whoever could stop us is gone.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let follow = async {
            match follower {
                Some(follower) => follower.run(reloads, stop.clone()).await,
                None => {
                    drop(reloads);
                    pending().await
                }
            }
        };
        tokio::select! {
            served = admin => {
                if let Err(error) = served {
                    tracing::error!(%error, "the admin API has ended");
                }
            }
            () = follow => {}
            () = renewal.run() => {}
        }
    })?;
    Ok(())
}
