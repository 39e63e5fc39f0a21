//! How a stop meets clients that speak HTTP/2, with TLS and without.

use crate::harness::http2::{Http2, head};
use crate::harness::proxy::own_address;
use crate::harness::tls::Authority;
use crate::harness::{
    Backend, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    a_stop_says_goaway_and_lets_what_runs_finish,
    a_stop_closes_what_is_left_when_its_time_is_over,
);

/// Whether inside TLS.
const BOTH: [bool; 2] = [false, true];

struct Started {
    proxy: Proxy,
    ca: Authority,
    secure: bool,
}

impl Started {
    fn new(backend: &Backend, workers: usize, server: &str, secure: bool) -> Self {
        let ca = Authority::new();
        let terms = if secure {
            "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }] }"
        } else {
            "h2c = true"
        };
        let address = own_address();
        let proxy = Setup::both(backend)
            .listens(&format!("{{ address = \"{address}\", {terms} }}"))
            .set("server", server)
            .workers(workers)
            .start_beside(|folder| ca.sign(&["a.test"]).place(folder, "a"));
        Self { proxy, ca, secure }
    }

    fn client(&self) -> Http2 {
        let address = self.proxy.address();
        if self.secure {
            Http2::secured(address, "a.test", self.ca.client(None, &["h2"]))
        } else {
            Http2::connect(address)
        }
    }
}

fn a_stop_says_goaway_and_lets_what_runs_finish(workers: usize) {
    for secure in BOTH {
        let gate = Gate::default();
        let opened = gate.clone();
        let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
        let mut started = Started::new(&backend, workers, "", secure);
        let (busy, idle) = (started.client(), started.client());
        let answers: Vec<_> = (0..8)
            .map(|_| busy.send(head("GET", "/", &[]), true).0)
            .collect();
        wait_until("all are with the side", || backend.count() == 8);
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| started.proxy.stop());
            idle.closed();
            assert!(
                !stopping.is_finished(),
                "the stop did not wait for what runs"
            );
            // One that is asked before its client hears of the stop may still be answered.
            let mut late = Vec::new();
            wait_until("new requests are refused", || {
                match busy.try_send(head("GET", "/late", &[]), true) {
                    Ok((answer, _)) => late.push(answer),
                    Err(_) => return true,
                }
                false
            });
            gate.open();
            for answer in answers {
                assert_eq!(busy.answer(answer).unwrap().status, 200);
            }
            let late = late.into_iter().map(|answer| busy.answer(answer));
            let late = late.filter(Result::is_ok).count();
            busy.closed();
            stopping.join().unwrap();
            assert_eq!((backend.count(), backend.broken()), (8 + late, 0));
        });
    }
}

fn a_stop_closes_what_is_left_when_its_time_is_over(workers: usize) {
    for secure in BOTH {
        let backend = Backend::start(|_| Reply::text("never").after(&Gate::default()));
        let mut started = Started::new(&backend, workers, "drain_timeout = \"1s\"", secure);
        let client = started.client();
        let (answer, _) = client.send(head("GET", "/", &[]), true);
        wait_until("it is with the side", || backend.count() == 1);
        started.proxy.stop();
        client.answer(answer).unwrap_err();
        client.closed();
        wait_until("the side is left", || backend.open() == 0);
    }
}
