//! The report of a search: an HTML page, and a table of the front.

use std::fmt::Write as _;

use picodet_report::{
    Axis, Cell, Chart, Line, PALETTE, Page, Table, cards, escape, facts, line_chart, section, side_by_side,
};

use picodet_zoo::Backbone;

use crate::{Evaluated, Gene, Genome, LEAST_AGREEMENT, LatencyTable, Space};

/// Colours of candidates, the front, the recommended network and the published one.
const CANDIDATE: &str = "#c3cad6";
const FRONT: &str = PALETTE[0];
const RECOMMENDED: &str = PALETTE[2];
const PUBLISHED: &str = PALETTE[1];
/// Size of the chart of accuracy against latency.
const SIZE: (f64, f64) = (860.0, 440.0);
/// Smallest and largest radius of a candidate.
const RADIUS: [f64; 2] = [2.5, 8.0];

/// A network of the front.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The candidate with its accuracy and predicted latency.
    pub candidate: Evaluated,
    /// Standard error of the difference of its accuracy to that of the best.
    pub error: f64,
    /// Number of parameters.
    pub parameters: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Measured milliseconds of a whole inference.
    pub measured: Option<f64>,
}

/// The contents of a report.
#[derive(Clone, Debug)]
pub struct SearchReport<'a> {
    /// The networks.
    pub space: &'a Space,
    /// The latency table.
    pub table: &'a LatencyTable,
    /// The judged candidates in their order.
    pub candidates: &'a [Evaluated],
    /// The candidates that no other one dominates, by latency.
    pub front: &'a [Entry],
    /// Index of the recommended one in the front.
    pub recommended: usize,
    /// Maximum latency in milliseconds.
    pub constraint: Option<f64>,
    /// Rank correlation between the accuracies on two halves of the images.
    pub agreement: f64,
    /// Values of genes that save no time: gene, value, larger value.
    pub without_gain: &'a [(Gene, f64, f64)],
    /// Seconds of the parts of the search.
    pub seconds: &'a [(&'static str, f64)],
}

impl SearchReport<'_> {
    /// Returns the front as CSV.
    #[must_use]
    pub fn front_csv(&self) -> String {
        let genes = self.space.genes().iter().map(|(gene, _)| format!(",{}", label(*gene)));
        let mut csv = format!(
            "number,ap,ap_error,predicted_ms,measured_ms,parameters,macs,recommended{}\n",
            genes.collect::<String>()
        );
        for (index, entry) in self.front.iter().enumerate() {
            let Entry { candidate, error, parameters, macs, measured } = entry;
            let measured = measured.map_or_else(String::new, |time| format!("{time:.4}"));
            let _ = write!(
                csv,
                "{},{:.5},{error:.5},{:.4},{measured},{parameters},{macs},{}",
                index + 1,
                candidate.accuracy,
                candidate.latency,
                u8::from(index == self.recommended)
            );
            for value in self.values(&candidate.genome) {
                let _ = write!(csv, ",{value}");
            }
            csv.push('\n');
        }
        csv
    }

    /// Returns the HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        let network = self.space.base().name;
        let mut page = Page::new(&format!("Architecture search around {network}"));
        page.push(&self.numbers());
        if self.agreement < LEAST_AGREEMENT {
            page.push(&format!(
                "<div class=\"warn\"><p>The order of the candidates on two halves of the images agrees with a rank correlation \
                 of {:.2} only: these images cannot tell the candidates apart. The recommended network is the fastest of \
                 those that are within the error of the best.</p></div>",
                self.agreement
            ));
        }
        let hint = "Every dot is a network of the supernet, with the weights of the supernet; up and to the left is better. The \
                    area of a dot is the number of parameters. Networks of the front, in blue, are those that no other one \
                    beats in both.";
        page.push(&section("Accuracy against latency", hint, &self.pareto()));
        page.push(&section("Networks of the front", "", &self.table()));
        page.push(&section(
            "Their architectures",
            "The height of a bar is the channel ratio of a block, 1 at the top.",
            &self.architectures(),
        ));
        page.push(&side_by_side(&self.charts()));
        page.push(&section("Measurement", "", &self.facts()));
        page.finish()
    }

    fn values(&self, genome: &Genome) -> Vec<f64> {
        let genes = self.space.genes().iter().zip(&genome.0);
        genes.filter_map(|((_, values), &index)| values.get(usize::from(index)).copied()).collect()
    }

    fn best(&self) -> Option<&Entry> {
        self.front.get(self.recommended)
    }

    fn numbers(&self) -> String {
        let Some(best) = self.best() else { return String::new() };
        let reference = self.table.whole.reference;
        let latency = best.measured.unwrap_or(best.candidate.latency);
        let kind = if best.measured.is_some() { "ms, measured" } else { "ms, predicted" };
        cards(&[
            (
                "AP of the recommended network, weights of the supernet",
                format!("{:.3}", best.candidate.accuracy),
            ),
            (kind, format!("{latency:.2}")),
            ("of the latency of the published network", format!("{:.0} %", 100.0 * latency / reference)),
            ("parameters", format!("{:.2} M", best.parameters as f64 / 1e6)),
            ("networks judged", self.candidates.len().to_string()),
        ])
    }

    fn pareto(&self) -> String {
        let published = self.space.published_genome();
        let latencies = self.candidates.iter().map(|found| found.latency).chain(self.constraint);
        let (low, high) = latencies.fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        let room = 0.04 * (high - low).max(1e-3);
        let accuracies = || self.candidates.iter().map(|found| found.accuracy);
        let x = Axis::over("latency of an inference (ms)", [low - room, high + room].into_iter());
        let y = Axis::over("AP on the images of the search", accuracies());
        let names = [
            (CANDIDATE, "judged"),
            (FRONT, "front"),
            (RECOMMENDED, "recommended"),
            (PUBLISHED, "published network"),
        ];
        let mut chart = Chart::named(SIZE, x, y, "accuracy against latency", &names);
        if let Some(limit) = self.constraint {
            let ends = accuracies().fold((1.0f64, 0.0f64), |(low, high), y| (low.min(y), high.max(y)));
            let label = None;
            let points = vec![(limit, ends.0), (limit, ends.1)];
            let place = points[0];
            let text = format!("at most {limit:.2} ms");
            chart.line(&Line { points, colour: "#8b93a1".to_owned(), width: 1.2, label });
            chart.label(place, &text);
        }
        let parameters = |genome: &Genome| {
            let candidate = self.space.candidate(genome);
            candidate
                .map_or(0, |candidate| candidate.architecture.graph(self.table.classes).parameter_count())
        };
        let largest = parameters(&self.space.largest()).max(1) as f64;
        let radius = |count: usize| (count as f64 / largest).sqrt() * RADIUS[1];
        let title = |found: &Evaluated, count: usize| {
            format!(
                "AP {:.4}, {:.2} ms, {:.2} M parameters",
                found.accuracy,
                found.latency,
                count as f64 / 1e6
            )
        };
        let mut dot = |found: &Evaluated, colour: &str| {
            let count = parameters(&found.genome);
            let place = (found.latency, found.accuracy);
            chart.circle(place, radius(count).max(RADIUS[0]), colour, &title(found, count));
        };
        self.candidates.iter().for_each(|found| dot(found, CANDIDATE));
        self.front.iter().for_each(|entry| dot(&entry.candidate, FRONT));
        let published = self.candidates.iter().find(|found| found.genome == published);
        published.iter().for_each(|found| dot(found, PUBLISHED));
        self.best().iter().for_each(|entry| dot(&entry.candidate, RECOMMENDED));
        let points =
            self.front.iter().map(|entry| (entry.candidate.latency, entry.candidate.accuracy)).collect();
        chart.line(&Line { points, colour: FRONT.to_owned(), width: 1.2, label: None });
        if let Some(found) = published {
            chart.label((found.latency, found.accuracy), "published");
        }
        if let Some(entry) = self.best() {
            chart.label((entry.candidate.latency, entry.candidate.accuracy), "recommended");
        }
        chart.finish()
    }

    fn table(&self) -> String {
        let mut table = Table::of_numbers(&[
            "network",
            "AP",
            "± to the best",
            "predicted ms",
            "measured ms",
            "parameters",
            "MMAC",
            "",
        ]);
        let best = self.front.last().map_or(0.0, |entry| entry.candidate.accuracy);
        for (index, entry) in self.front.iter().enumerate() {
            let note = match index {
                index if index == self.recommended => "recommended",
                _ if best - entry.candidate.accuracy <= entry.error => "as accurate within the error",
                _ => "",
            };
            table.row([
                Cell::code(&format!("front/{}.toml", index + 1)),
                format!("{:.4}", entry.candidate.accuracy).into(),
                format!("{:.4}", entry.error).into(),
                format!("{:.3}", entry.candidate.latency).into(),
                entry.measured.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}")).into(),
                entry.parameters.into(),
                format!("{:.1}", entry.macs as f64 / 1e6).into(),
                note.into(),
            ]);
        }
        table.finish()
    }

    /// A row for the published network and each one of the front: the widths of the backbone as bars, the other genes as text.
    fn architectures(&self) -> String {
        let published = ("published".to_owned(), self.space.published_genome());
        let front = self.front.iter().enumerate();
        let rows = front.map(|(index, entry)| ((index + 1).to_string(), entry.candidate.genome.clone()));
        let others: Vec<&(Gene, Vec<f64>)> =
            self.space.genes().iter().filter(|(gene, _)| !is_width(*gene)).collect();
        let names = others.iter().map(|(gene, _)| gene.name());
        let widths = match self.space.base().architecture.backbone {
            Backbone::LcNet(_) => "scales of the groups",
            _ => "ratios of the blocks",
        };
        let largest = self.values(&self.space.largest());
        let genes = self.space.genes().iter().zip(&largest);
        let most =
            genes.filter(|((gene, _), _)| is_width(*gene)).map(|(_, &value)| value).fold(0.0, f64::max);
        let mut table = Table::of_text(&["network", widths].into_iter().chain(names).collect::<Vec<_>>());
        for (name, genome) in std::iter::once(published).chain(rows) {
            let values = self.values(&genome);
            let bars: Vec<f64> = (self.space.genes().iter().zip(&values))
                .filter(|((gene, _), _)| is_width(*gene))
                .map(|(_, &value)| value)
                .collect();
            let rest = (self.space.genes().iter().zip(&values))
                .filter(|((gene, _), _)| !is_width(*gene))
                .map(|(_, value)| Cell::from(value.to_string()));
            table.row([name.into(), Cell::html(width_bars(&bars, most))].into_iter().chain(rest));
        }
        table.finish()
    }

    fn charts(&self) -> Vec<String> {
        let limit = self.constraint.unwrap_or(f64::INFINITY);
        let mut best = 0.0f64;
        let kept = |found: &&Evaluated| found.latency <= limit;
        let points = self.candidates.iter().filter(kept).enumerate().map(|(index, found)| {
            best = best.max(found.accuracy);
            ((index + 1) as f64, best)
        });
        let curve =
            line_chart("best AP by number of candidates", "candidates", &[("best AP", points.collect())]);
        let mut charts = vec![section("Best AP against candidates judged", "", &curve)];
        let measured: Vec<(f64, f64)> =
            self.front.iter().filter_map(|entry| Some((entry.candidate.latency, entry.measured?))).collect();
        if measured.len() > 1 {
            let both = || measured.iter().flat_map(|&(x, y)| [x, y]);
            let size = (460.0, 300.0);
            let mut chart = Chart::new(
                size,
                Axis::over("predicted (ms)", both()),
                Axis::over("measured (ms)", both()),
                "predicted against measured latency",
            );
            chart.diagonal();
            measured
                .iter()
                .for_each(|&(x, y)| chart.dot(x, y, &format!("{x:.3} predicted, {y:.3} measured")));
            charts.push(section("Predicted against measured latency", "", &chart.finish()));
        }
        charts
    }

    fn facts(&self) -> String {
        let machine = &self.table.machine;
        let engine = format!(
            "{}, {}, {} {}, picodet {}, {}",
            machine.instruction_set,
            machine.precision,
            machine.threads,
            if machine.threads == 1 { "thread" } else { "threads" },
            machine.version,
            self.table.date
        );
        let errors = format!(
            "median {:.1} %, worst {:.1} % for the candidates that whole inferences were fitted to",
            100.0 * self.table.whole.median_error,
            100.0 * self.table.whole.worst_error
        );
        let agreement = format!("{:.2} (rank correlation of two halves of the images)", self.agreement);
        let constraint = self.constraint.map_or_else(|| "none".to_owned(), |limit| format!("{limit:.3} ms"));
        let reference = format!("{:.3} ms", self.table.whole.reference);
        let times: Vec<String> =
            self.seconds.iter().map(|(name, time)| format!("{name} {time:.0} s")).collect();
        let times = times.join(", ");
        let processor = machine.processor.as_deref().unwrap_or("unknown");
        let mut html = facts([
            ("processor", processor),
            ("engine", &engine),
            ("published network", &reference),
            ("maximum latency", &constraint),
            ("error of predictions", &errors),
            ("agreement", &agreement),
            ("time", &times),
        ]);
        if !self.without_gain.is_empty() {
            let values = self
                .without_gain
                .iter()
                .map(|(gene, value, larger)| format!("{} {value} costs as much as {larger}", label(*gene)));
            let _ = write!(
                html,
                "<p class=\"note\">Values that save less than 1 % of their part: {}.</p>",
                escape(&values.collect::<Vec<_>>().join("; "))
            );
        }
        html
    }
}

/// The name of a gene, with the number of its block.
fn label(gene: Gene) -> String {
    match gene {
        Gene::Ratio(block) => format!("ratio_{block}"),
        Gene::Scale(group) => format!("scale_{group}"),
        _ => gene.name().to_owned(),
    }
}

/// Whether a gene is a width of the backbone, one of several of its kind.
fn is_width(gene: Gene) -> bool {
    matches!(gene, Gene::Ratio(_) | Gene::Scale(_))
}

/// Widths, at most `most`, as columns at the size of a table's row.
fn width_bars(widths: &[f64], most: f64) -> String {
    const WIDTH: f64 = 12.0;
    const HEIGHT: f64 = 28.0;
    if widths.is_empty() {
        return "as published".to_owned();
    }
    let width = WIDTH * widths.len() as f64;
    let mut svg = format!("<svg width=\"{width}\" height=\"{HEIGHT}\">");
    for (index, value) in widths.iter().enumerate() {
        let height = value / most * HEIGHT;
        let _ = write!(
            svg,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{index}: {value}</title></rect>",
            index as f64 * WIDTH,
            HEIGHT - height,
            WIDTH - 2.0
        );
    }
    svg + "</svg>"
}
