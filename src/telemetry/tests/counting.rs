//! Nothing is lost between the cells and the page, whoever counts meanwhile.

use super::*;

#[test]
fn a_page_takes_nothing_away() {
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", None);
    for asked in 1..=3_u32 {
        route.request(&Method::GET, ServedBy::Old, CodeClass::Success, MILLISECOND);
        route.upstream(Side::Old, Role::Serve, MILLISECOND);
        let page = Page::of(&telemetry);
        for series in [
            r#"crossfade_requests_total{route="tags",method="GET",side="old",code_class="2xx"}"#,
            r#"crossfade_request_duration_seconds_count{route="tags",side="old"}"#,
            r#"crossfade_upstream_duration_seconds_count{route="tags",side="old",role="serve"}"#,
        ] {
            assert_eq!(page.value(series), f64::from(asked), "{series}");
        }
    }
    assert_eq!(route.latency(Side::Old).count(), 3);
}

#[test]
fn every_method_side_and_class_has_a_cell_of_its_own() {
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", Some(&[]));
    let all = || {
        labels::MethodLabel::ALL.iter().flat_map(|method| {
            let sides = ServedBy::ALL.iter();
            sides.flat_map(move |by| CodeClass::ALL.iter().map(move |class| (method, by, class)))
        })
    };
    for (place, (method, by, class)) in all().enumerate() {
        let method = Method::from_bytes(method.name().as_bytes()).unwrap();
        for _ in 0..=place {
            route.request(&method, *by, *class, MILLISECOND);
        }
    }
    let page = Page::of(&telemetry);
    for (place, (method, by, class)) in all().enumerate() {
        let [method, by, class] = [method.name(), by.name(), class.name()];
        let series = format!(
            "crossfade_requests_total{{route=\"tags\",method=\"{method}\",side=\"{by}\",code_class=\"{class}\"}}"
        );
        assert_eq!(page.value(&series), (place + 1) as f64, "{series}");
    }
    let sum = |values: &mut dyn Iterator<Item = u64>| values.sum::<u64>();
    let counted = (1..=all().count() as u64).sum::<u64>();
    let by_side = sum(&mut ServedBy::ALL.iter().map(|by| route.requests(*by)));
    let by_class = sum(&mut CodeClass::ALL
        .iter()
        .map(|class| route.requests_of_class(*class)));
    assert_eq!((by_side, by_class), (counted, counted));
}

#[test]
fn a_page_written_while_requests_end_is_whole_and_never_falls() {
    const REQUESTS: u32 = 100_000;
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", Some(&[Method::GET]));
    let serve = |times: u32| {
        for number in 0..times {
            let elapsed = MILLISECOND * (number % 40_000);
            route.request(&Method::GET, ServedBy::New, CodeClass::Success, elapsed);
            route.upstream(Side::New, Role::Serve, elapsed);
        }
    };
    let mut last = Page::of(&telemetry);
    std::thread::scope(|scope| {
        let workers = [
            scope.spawn(|| serve(REQUESTS)),
            scope.spawn(|| serve(REQUESTS)),
        ];
        let mut ended = false;
        while !ended {
            // Asked before the page is written: the last page has seen everything.
            ended = workers.iter().all(|worker| worker.is_finished());
            let page = Page::of(&telemetry);
            for (series, value) in &page.values {
                assert!(*value >= last.value(series), "{series} fell to {value}");
                if let Some((name, rest)) = series.split_once("_count{") {
                    let rest = rest.trim_end_matches('}');
                    let whole = page.value(&format!("{name}_bucket{{{rest},le=\"+Inf\"}}"));
                    assert_eq!(*value, whole, "{series}");
                }
            }
            last = page;
        }
    });
    for count in [
        r#"crossfade_request_duration_seconds_count{route="tags",side="new"}"#,
        r#"crossfade_upstream_duration_seconds_count{route="tags",side="new",role="serve"}"#,
    ] {
        assert_eq!(last.value(count), f64::from(2 * REQUESTS), "{count}");
    }
}

#[test]
fn a_page_written_while_pairs_are_judged_tells_of_no_effect_without_its_cause() {
    const PAIRS: u32 = 100_000;
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", Some(&[Method::GET]));
    let judge = || {
        for _ in 0..PAIRS {
            route.sampled();
            route.shadow_request(Side::New);
            route.upstream(Side::New, Role::Shadow, MILLISECOND);
            route.verdict(Verdict::Incomparable(Incomparable::Coding));
        }
    };
    // From what is counted last to what is counted first.
    let stages = [
        r#"crossfade_comparisons_total{route="tags",verdict="incomparable"}"#,
        r#"crossfade_incomparable_total{route="tags",reason="coding"}"#,
        r#"crossfade_shadow_requests_total{route="tags",side="new"}"#,
        r#"crossfade_shadow_sampled_total{route="tags"}"#,
    ];
    let duration =
        r#"crossfade_upstream_duration_seconds_count{route="tags",side="new",role="shadow"}"#;
    std::thread::scope(|scope| {
        let judging = scope.spawn(judge);
        let mut ended = false;
        while !ended {
            ended = judging.is_finished();
            let page = Page::of(&telemetry);
            let counts = stages.map(|series| page.value(series));
            assert!(counts.is_sorted(), "{counts:?}");
            assert!(counts[0] <= page.value(duration), "{counts:?}");
        }
    });
    assert_eq!(Page::of(&telemetry).value(duration), f64::from(PAIRS));
}
