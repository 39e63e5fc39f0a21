//! Which reads a crowd makes: a few contents often, most of them seldom. Pure: randomness comes in as a generator.

use crate::demo::catalog::Catalog;
use crate::demo::page::Page;
use crate::demo::service::SEGMENT;
use fastrand::Rng;
use percent_encoding::utf8_percent_encode;
use std::sync::Arc;

/// A choice in which the item of rank n is n times as rare as the first (Zipf's law with exponent 1, which web traffic is close to).
#[derive(Clone, Debug)]
pub struct Ranked {
    items: Vec<Arc<str>>,
    /// Weights of the items up to each place, summed.
    sums: Vec<f64>,
}

impl Ranked {
    /// Items in order of popularity.
    ///
    /// # Panics
    /// Without items there is nothing to choose.
    #[must_use]
    pub fn new(items: Vec<Arc<str>>) -> Self {
        assert!(!items.is_empty(), "a choice needs items");
        let mut sum = 0.0;
        let sums = (1..=items.len())
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { items, sums }
    }

    /// One item.
    pub fn choose(&self, rng: &mut Rng) -> &str {
        let all = self.sums.last().copied().unwrap_or_default();
        let point = rng.f64() * all;
        let place = self.sums.partition_point(|&sum| sum <= point);
        &self.items[place.min(self.items.len() - 1)]
    }
}

/// The reads of the demo's load: nine of ten ask for one content, the others list.
#[derive(Clone, Debug)]
pub struct Mix {
    contents: Ranked,
    tags: Ranked,
}

impl Mix {
    /// The mix over a catalog. Which contents are popular is drawn once from a fixed seed, so that it is the same in every run and does not follow the alphabet; the tags with the most contents are the popular ones.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let mut contents = catalog.names();
        Rng::with_seed(0).shuffle(&mut contents);
        let mut tags = catalog
            .tags(&Page {
                after: None,
                limit: usize::MAX,
            })
            .items;
        tags.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self {
            contents: Ranked::new(contents),
            tags: Ranked::new(tags.into_iter().map(|(tag, _)| tag.into()).collect()),
        }
    }

    /// Path and query of the next read.
    pub fn target(&self, rng: &mut Rng) -> String {
        let content =
            |rng: &mut Rng| utf8_percent_encode(self.contents.choose(rng), SEGMENT).to_string();
        match rng.u8(0..100) {
            0..60 => format!("/contents/{}/tags", content(rng)),
            60..90 => format!("/contents/{}", content(rng)),
            90..97 => format!(
                "/tags/{}/contents",
                utf8_percent_encode(self.tags.choose(rng), SEGMENT)
            ),
            _ => {
                let after: String =
                    form_urlencoded::byte_serialize(self.tags.choose(rng).as_bytes()).collect();
                format!("/tags?after={after}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::data;
    use std::collections::HashMap;

    #[test]
    fn the_first_is_chosen_in_proportion_to_its_rank() {
        let ranked = Ranked::new(["a", "b", "c", "d"].map(Arc::from).to_vec());
        let (mut rng, mut counts) = (Rng::with_seed(1), HashMap::new());
        for _ in 0..25_000 {
            *counts.entry(ranked.choose(&mut rng)).or_insert(0_i32) += 1;
        }
        // 12 : 6 : 4 : 3 of 25
        for (item, expected) in [("a", 12_000), ("b", 6_000), ("c", 4_000), ("d", 3_000)] {
            assert!(
                (counts[item] - expected).abs() < 400,
                "{item}: {} of {expected}",
                counts[item]
            );
        }
    }

    #[test]
    fn the_mix_is_skewed_valid_and_the_same_for_the_same_seed() {
        let mix = Mix::new(&Catalog::new(data::entries()));
        let draw = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..20_000)
                .map(|_| mix.target(&mut rng))
                .collect::<Vec<_>>()
        };
        let targets = draw(7);
        assert_eq!(targets, draw(7));
        assert_ne!(targets, draw(8));
        let (mut shapes, mut contents) = ([0; 4], HashMap::new());
        for target in &targets {
            let uri: http::Uri = target.parse().unwrap();
            let segments: Vec<_> = uri.path().split('/').skip(1).collect();
            let shape = match segments.as_slice() {
                ["contents", _, "tags"] => 0,
                ["contents", _] => 1,
                ["tags", _, "contents"] => 2,
                ["tags"] => 3,
                other => panic!("{other:?}"),
            };
            shapes[shape] += 1;
            if shape < 2 {
                *contents.entry(segments[1].to_owned()).or_insert(0) += 1;
            }
        }
        for (shape, percent) in [60, 30, 7, 3].into_iter().enumerate() {
            assert!(
                (shapes[shape] - percent * 200_i32).abs() < 400,
                "{shapes:?}"
            );
        }
        let (mut counts, asked) = (
            contents.values().copied().collect::<Vec<i32>>(),
            shapes[0] + shapes[1],
        );
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        let top: i32 = counts.iter().take(298).sum();
        assert!(
            top * 10 > asked * 5 && top * 10 < asked * 7,
            "one in a hundred contents gets {top} of {asked} reads"
        );
        assert!(
            counts.len() > 3_000,
            "the long tail is read too: {}",
            counts.len()
        );
    }
}
