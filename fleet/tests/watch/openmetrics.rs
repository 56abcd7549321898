//! OpenMetrics' text form, read strictly: what a scraper would refuse fails here.

use std::collections::{BTreeMap, BTreeSet};

/// A name and its labels.
type Series = (String, BTreeMap<String, String>);

/// What was scraped.
#[derive(Debug, Default)]
pub(super) struct Scrape {
    /// Type and help by family.
    pub(super) families: BTreeMap<String, (String, String)>,
    /// Value by series.
    pub(super) samples: BTreeMap<Series, f64>,
}

impl Scrape {
    /// The sum of a name's series that have these labels.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |of: &BTreeMap<String, String>| {
            let mut labels = labels.iter();
            labels.all(|&(key, value)| of.get(key).is_some_and(|found| found == value))
        };
        let series = self.samples.iter();
        let series = series.filter(|((of, labels), _)| of == name && has(labels));
        series.map(|(_, value)| value).sum()
    }

    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().map(|(name, _)| name.as_str()).collect()
    }
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let name = &text[..end.unwrap_or(text.len())];
    assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{text}");
    name
}

/// A label's value behind its opening quote, and what follows the closing one.
fn value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next().unwrap_or_else(|| panic!("no end: {text}")) {
            '"' => return (value, rest.as_str()),
            '\\' => value.push(match rest.next() {
                Some('n') => '\n',
                Some(c @ ('"' | '\\')) => c,
                other => panic!("{other:?} was escaped: {text}"),
            }),
            c => value.push(c),
        }
    }
}

fn sample(line: &str) -> (Series, f64) {
    let name = name(line);
    let mut rest = &line[name.len()..];
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, quoted) = rest.split_once("=\"").unwrap();
            let (value, after) = value(quoted);
            assert_eq!(self::name(key), key);
            assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let number = rest.strip_prefix(' ').unwrap();
    ((name.to_owned(), labels), number.parse().unwrap())
}

/// Reads a whole answer.
pub(super) fn parse(text: &str) -> Scrape {
    let mut scrape = Scrape::default();
    let mut help = None;
    let body = text.strip_suffix("# EOF\n").unwrap();
    let mut family = String::new();
    for line in body.strip_suffix('\n').unwrap_or(body).split('\n') {
        if let Some(line) = line.strip_prefix("# HELP ") {
            let (name, words) = line.split_once(' ').unwrap();
            help = Some((name.to_owned(), words.to_owned()));
        } else if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = line.split_once(' ').unwrap();
            let (of, words) = help.take().unwrap();
            assert_eq!(of, name);
            name.clone_into(&mut family);
            let before = scrape.families.insert(of, (kind.to_owned(), words));
            assert!(before.is_none(), "{name} comes twice");
        } else {
            let (series, value) = sample(line);
            let suffix = series.0.strip_prefix(&family);
            let fits: &[&str] = match scrape.families[&family].0.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => panic!("{other}"),
            };
            assert!(
                suffix.is_some_and(|suffix| fits.contains(&suffix)),
                "{line}"
            );
            assert!(
                value.is_finite() && (value >= 0.0 || fits == [""]),
                "{line}"
            );
            let before = scrape.samples.insert(series, value);
            assert!(before.is_none(), "{line} comes twice");
        }
    }
    buckets(&scrape);
    scrape
}

/// Buckets grow, and the last one is the count.
fn buckets(scrape: &Scrape) {
    let mut found: BTreeMap<Series, Vec<(f64, f64)>> = BTreeMap::new();
    for ((name, labels), &count) in &scrape.samples {
        if let Some(name) = name.strip_suffix("_bucket") {
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().parse().unwrap();
            let series = (name.to_owned(), labels);
            found.entry(series).or_default().push((bound, count));
        }
    }
    for ((name, labels), mut buckets) in found {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(
            buckets.is_sorted_by(|one, other| one.1 <= other.1),
            "{name}"
        );
        let (bound, count) = buckets[buckets.len() - 1];
        assert_eq!(bound, f64::INFINITY);
        assert_eq!(scrape.samples[&(format!("{name}_count"), labels)], count);
    }
}
