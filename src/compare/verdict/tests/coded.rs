//! What answers may become that came coded: by the bytes that came.

use super::*;

/// Values are bounded by what came, before it was decoded: a few bytes may hold any number of them.
#[test]
fn a_coded_body_has_as_many_values_as_its_bytes_may_have() {
    let text = |values: usize, last: &str| {
        let values = "1,".repeat(values);
        format!("[{values}{last}]").into_bytes()
    };
    let verdict = |values: usize| {
        let [old, new] = ["2", "3"].map(|last| Side {
            body: Some(gzip(&text(values, last))),
            ..side("200 content-encoding=gzip")
        });
        judge(&old, &new, &Rules::default(), &mut Unlimited).verdict
    };
    assert!(gzip(&text(1_000, "2")).len() < 100);
    assert_eq!(verdict(200), Verdict::Mismatch);
    let many = Verdict::Incomparable(Incomparable::TooManyNodes);
    assert_eq!(verdict(1_000), many);
    // Of longer ones by their length: half a dozen for a byte are too many, three are not.
    let mut state = 1_u64;
    let noise: String = (0..2_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + (state >> 60) as u8)
        })
        .collect();
    let long = |values: usize| {
        ["2", "3"]
            .map(|last| gzip(format!("[\"{noise}\",{}{last}]", "1,".repeat(values)).as_bytes()))
    };
    let came = long(1_000)[0].len();
    assert!(came > 500);
    let long = |values: usize| {
        let [old, new] = long(values).map(|body| Side {
            body: Some(body),
            ..side("200 content-encoding=gzip")
        });
        judge(&old, &new, &Rules::default(), &mut Unlimited).verdict
    };
    assert_eq!(long(3 * came), Verdict::Mismatch);
    assert_eq!(long(6 * came), many);
    // Plain text never has so many.
    let plain = ["2", "3"].map(|last| text(100_000, last));
    let [old, new] = plain.map(|body| Side {
        body: Some(body),
        ..side("200")
    });
    let found = judge(&old, &new, &Rules::default(), &mut Unlimited);
    assert_eq!(found.verdict, Verdict::Mismatch);
}

/// What a patch says is hidden and kept, whatever made it: its operations go by what came.
#[test]
fn a_coded_body_has_as_many_operations_as_its_bytes_may_have() {
    let text = |by: usize| {
        let values: Vec<_> = (0..200).map(|n| (n * n / 7 % by % 2).to_string()).collect();
        format!("[{}]", values.join(",")).into_bytes()
    };
    let operations = |coded: bool| {
        let [old, new] = [text(2), text(3)].map(|body| match coded {
            true => Side {
                body: Some(gzip(&body)),
                ..side("200 content-encoding=gzip")
            },
            false => Side {
                body: Some(body),
                ..side("200")
            },
        });
        let came = old
            .body
            .iter()
            .chain(&new.body)
            .map(Vec::len)
            .sum::<usize>();
        let found = judge(&old, &new, &Rules::default(), &mut Unlimited);
        assert_eq!(found.verdict, Verdict::Mismatch);
        (found.patch.unwrap().0.len(), found.patch_truncated, came)
    };
    let (count, truncated, _) = operations(false);
    assert!(count > 60 && !truncated, "{count}");
    let (count, truncated, came) = operations(true);
    assert!(truncated);
    assert_eq!(count, 8 + came / 4);
}
