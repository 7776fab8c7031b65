//! Draws figures as SVG, on the server: two sorts of plots, for light and for dark pages.
//!
//! Knows numbers and names, and neither the store nor where they come from. Plots hold no words but names, days and
//! numbers, so they are the same in every language; the page beside them says what they show, and has their table.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, DrawingArea, IntoDrawingArea as _, LineSeries, Rectangle, SVGBackend,
    Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, TextStyle};

/// Points of a plot from left to right; pages scale it.
const WIDTH: u32 = 720;
/// Points of a plot over time from top to bottom.
const HEIGHT: u32 = 220;
/// Points of a small plot from left to right, and from top to bottom.
const SPARK: (u32, u32) = (240, 36);
/// Points that one row of a list takes.
const ROW: u32 = 26;
/// Points for a name at the left of a list.
const NAMES: i32 = 170;
/// Characters of a name that find room there.
const NAME_CHARS: usize = 24;

/// For which ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// Dark letters on a light page.
    Light,
    /// Light letters on a dark page.
    Dark,
}

impl Ground {
    const fn ink(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(91, 104, 102),
            Self::Dark => RGBColor(159, 176, 173),
        }
    }

    const fn line(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(223, 228, 227),
            Self::Dark => RGBColor(42, 55, 54),
        }
    }

    /// Of the first, the second and the third series: apart for people who see no red or no green as well.
    const fn colour(self, series: usize) -> RGBColor {
        match (self, series) {
            (Self::Light, 0) => RGBColor(15, 118, 110),
            (Self::Light, 1) => RGBColor(194, 106, 0),
            (Self::Light, _) => RGBColor(64, 81, 181),
            (Self::Dark, 0) => RGBColor(45, 212, 191),
            (Self::Dark, 1) => RGBColor(255, 180, 84),
            (Self::Dark, _) => RGBColor(150, 165, 255),
        }
    }
}

/// How a series over time is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    /// Beside the other bars.
    Bars,
    /// From point to point; where there is none, the line has a gap.
    Line,
}

/// One series over time.
pub(super) struct Series {
    /// How.
    pub(super) drawn: Drawn,
    /// One value for each day.
    pub(super) values: Vec<Option<f64>>,
}

/// Why a plot could not be drawn: a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("a plot could not be drawn: {0}")]
pub(super) struct NotDrawn(String);

fn not_drawn(error: impl Display) -> NotDrawn {
    NotDrawn(error.to_string())
}

/// Series over days; `days` names them. Blocks for some milliseconds.
pub(super) fn over_time(
    days: &[String],
    series: &[Series],
    ground: Ground,
) -> Result<String, NotDrawn> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        draw_time(&area, days, series, ground)?;
        area.present().map_err(not_drawn)?;
    }
    Ok(svg)
}

#[expect(clippy::cast_precision_loss, reason = "a plot has some hundred days at most")]
fn draw_time(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    days: &[String],
    series: &[Series],
    ground: Ground,
) -> Result<(), NotDrawn> {
    let most = series.iter().flat_map(|one| one.values.iter().flatten()).fold(1.0, |a, b| b.max(a));
    let width = days.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(-0.5..width - 0.5, 0.0..most * 1.08)
        .map_err(not_drawn)?;
    let ink = ground.ink();
    let letters = TextStyle::from(("sans-serif", 12).into_font()).color(&ink);
    let of_day = |at: &f64| name_of_day(days, *at);
    let of_value = |value: &f64| number(*value);
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh().x_labels(days.len().clamp(1, 10)).y_labels(5);
    mesh.axis_style(ground.line()).bold_line_style(ground.line());
    mesh.light_line_style(ground.line().mix(0.0)).label_style(letters);
    mesh.x_label_formatter(&of_day).y_label_formatter(&of_value);
    mesh.draw().map_err(not_drawn)?;
    let bars = series.iter().filter(|one| one.drawn == Drawn::Bars).count().max(1) as f64;
    let mut bar = 0.0;
    for (place, one) in series.iter().enumerate() {
        let colour = ground.colour(place);
        let points = one.values.iter().enumerate();
        let points = points.filter_map(|(at, value)| value.map(|value| (at as f64, value)));
        match one.drawn {
            Drawn::Bars => {
                let wide = 0.8 / bars;
                let left = -0.4 + wide * bar;
                bar += 1.0;
                let drawn = points.map(|(at, value)| {
                    let corners = [(at + left, 0.0), (at + left + wide * 0.92, value)];
                    Rectangle::new(corners, colour.filled())
                });
                chart.draw_series(drawn).map_err(not_drawn)?;
            }
            Drawn::Line => {
                for run in runs(&one.values) {
                    let dots: Vec<_> =
                        run.iter().map(|at| Circle::new(*at, 3, colour.filled())).collect();
                    let line = LineSeries::new(run, colour.stroke_width(2));
                    chart.draw_series(line).map_err(not_drawn)?;
                    chart.draw_series(dots).map_err(not_drawn)?;
                }
            }
        }
    }
    Ok(())
}

/// The stretches without a gap.
#[expect(clippy::cast_precision_loss, reason = "a plot has some hundred days at most")]
fn runs(values: &[Option<f64>]) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push((at as f64, *value)),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// `11-24` at the middle of a day, nothing between.
#[expect(clippy::cast_possible_truncation, reason = "a plot has some hundred days at most")]
#[expect(clippy::cast_sign_loss, reason = "what is below zero is no day")]
fn name_of_day(days: &[String], at: f64) -> String {
    if at < 0.0 || (at - at.round()).abs() > 0.01 {
        return String::new();
    }
    let day = days.get(at.round() as usize).and_then(|day| day.get(5..));
    day.unwrap_or_default().to_owned()
}

/// `1.5`, `12`: no more than people read.
fn number(value: f64) -> String {
    if value.fract().abs() < 0.05 || value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// A bar for each value, and nothing else: for a place where there is room for no more. Blocks for less than a
/// millisecond.
pub(super) fn spark(values: &[f64], ground: Ground) -> Result<String, NotDrawn> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SPARK).into_drawing_area();
        draw_spark(&area, values, ground)?;
        area.present().map_err(not_drawn)?;
    }
    Ok(svg)
}

#[expect(clippy::cast_possible_truncation, reason = "a part of the height of a plot")]
fn draw_spark(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    values: &[f64],
    ground: Ground,
) -> Result<(), NotDrawn> {
    let most = values.iter().copied().fold(1.0, f64::max);
    let (width, height) = (SPARK.0.cast_signed(), SPARK.1.cast_signed());
    let count = i32::try_from(values.len()).unwrap_or(i32::MAX);
    let foot = Rectangle::new([(0, height - 1), (width, height)], ground.line().filled());
    area.draw(&foot).map_err(not_drawn)?;
    for (value, place) in values.iter().zip(0_i32..) {
        let (left, right) = (place * width / count, (place + 1) * width / count);
        let tall = (value / most * f64::from(height - 2)) as i32;
        let corners = [(left, height - 1 - tall), ((right - 2).max(left + 1), height - 1)];
        area.draw(&Rectangle::new(corners, ground.colour(0).filled())).map_err(not_drawn)?;
    }
    Ok(())
}

/// Names with a bar each. Blocks for some milliseconds.
pub(super) fn list(rows: &[(String, f64)], ground: Ground) -> Result<String, NotDrawn> {
    let mut svg = String::new();
    let count = u32::try_from(rows.len().max(1)).unwrap_or(u32::MAX);
    let height = ROW.saturating_mul(count);
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw_list(&area, rows, ground)?;
        area.present().map_err(not_drawn)?;
    }
    Ok(svg)
}

#[expect(clippy::cast_possible_truncation, reason = "a part of the width of a plot")]
fn draw_list(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    rows: &[(String, f64)],
    ground: Ground,
) -> Result<(), NotDrawn> {
    const AFTER: f64 = 60.0;
    let most = rows.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let room = f64::from(WIDTH) - f64::from(NAMES) - AFTER;
    let ink = ground.ink();
    let letters = TextStyle::from(("sans-serif", 13).into_font()).color(&ink);
    let right = letters.clone().pos(Pos::new(HPos::Right, VPos::Center));
    let left = letters.pos(Pos::new(HPos::Left, VPos::Center));
    for ((name, value), row) in rows.iter().zip(0_i32..) {
        let top = row * ROW.cast_signed();
        let middle = top + ROW.cast_signed() / 2;
        let end = NAMES + (value / most * room) as i32;
        area.draw(&Text::new(short(name), (NAMES - 10, middle), right.clone()))
            .map_err(not_drawn)?;
        let corners = [(NAMES, top + 4), (end.max(NAMES + 1), top + ROW.cast_signed() - 4)];
        area.draw(&Rectangle::new(corners, ground.colour(0).filled())).map_err(not_drawn)?;
        area.draw(&Text::new(number(*value), (end + 8, middle), left.clone()))
            .map_err(not_drawn)?;
    }
    Ok(())
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(NAME_CHARS - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: usize) -> Vec<String> {
        (1..=count).map(|day| format!("2026-11-{day:02}")).collect()
    }

    #[test]
    fn a_plot_has_a_bar_for_each_value_and_the_names_of_days() {
        let bars = Series { drawn: Drawn::Bars, values: vec![Some(3.0), None, Some(1.5)] };
        let line = Series { drawn: Drawn::Line, values: vec![Some(1.0), None, Some(2.0)] };
        let svg = over_time(&days(3), &[bars, line], Ground::Light).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
        assert_eq!(svg.matches("fill=\"#0F766E\"").count(), 2, "{svg}");
        // A gap: two points, and no line over the day without a value.
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        assert!(svg.contains("11-02"), "{svg}");
    }

    #[test]
    fn no_name_gets_out_of_its_text() {
        let rows = [("</text><script>alert(1)</script>".to_owned(), 2.0), ("费用".to_owned(), 1.0)];
        let svg = list(&rows, Ground::Dark).unwrap();
        assert!(!svg.contains("<script"), "{svg}");
        assert!(svg.contains("费用"), "{svg}");
    }

    #[test]
    fn nothing_and_very_much_can_be_drawn() {
        assert!(over_time(&[], &[], Ground::Light).unwrap().ends_with("</svg>\n"));
        assert!(list(&[], Ground::Light).unwrap().contains("</svg>"));
        assert!(spark(&[], Ground::Light).unwrap().contains("</svg>"));
        // One bar each, and the line below them.
        assert_eq!(spark(&[1.0, 0.0, 3.0], Ground::Dark).unwrap().matches("<rect").count(), 4);
        let values = (0_u32..366).map(|value| Some(f64::from(value) * 1e9)).collect();
        let much = Series { drawn: Drawn::Bars, values };
        assert!(over_time(&days(366), &[much], Ground::Dark).is_ok());
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(short(&"费".repeat(30)).chars().count(), NAME_CHARS);
        assert_eq!(short("fees"), "fees");
    }
}
