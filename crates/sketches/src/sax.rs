//! Symbolic aggregate approximation (Lin, Keogh, Lonardi, Chiu 2003): a series as a word, a letter for each frame.
//!
//! Values are normalised, frames are averaged, and bands that are equally likely under a normal distribution give the
//! letter: `A` for the lowest. A frame without any value is `#`. Bands have the bounds of Heka's library: quantiles cut
//! off after three decimals, in single precision.

use std::fmt;

use heka_luatext::heka_literal;

use crate::error::Error;
use crate::memory::zeroed;
use crate::preserve::{append, append_new};

const VALUES_MAX: i64 = 4096;
const FRAMES_MAX: i64 = 2048;
const CARDINALITY_MAX: i64 = 16;
/// A frame without values.
const NO_DATA: u8 = b'#';
/// Series that deviate less than this are flat.
const FLAT: f64 = 1e-2;
/// What is charged beside values and symbols.
const FIXED_BYTES: usize = 64;

/// Positive bounds of equally likely bands, for 2 bands and more.
const QUANTILES: [&[f64]; 15] = [
    &[],
    &[0.430_727],
    &[0.674_490],
    &[0.253_347, 0.841_621],
    &[0.430_727, 0.967_422],
    &[0.180_012, 0.565_949, 1.067_571],
    &[0.318_639, 0.674_490, 1.150_349],
    &[0.139_710, 0.430_727, 0.764_710, 1.220_640],
    &[0.253_347, 0.524_401, 0.841_621, 1.281_552],
    &[0.114_185, 0.348_756, 0.604_585, 0.908_458, 1.335_178],
    &[0.210_428, 0.430_727, 0.674_490, 0.967_422, 1.382_994],
    &[0.096_559, 0.293_381, 0.502_402, 0.736_316, 1.020_076, 1.426_077],
    &[0.180_012, 0.366_106, 0.565_949, 0.791_639, 1.067_571, 1.465_234],
    &[0.083_652, 0.253_347, 0.430_727, 0.622_926, 0.841_621, 1.110_772, 1.501_086],
    &[0.157_311, 0.318_639, 0.488_776, 0.674_490, 0.887_147, 1.150_349, 1.534_121],
];

/// A word: as many letters as frames.
#[derive(Debug, Clone)]
pub struct SaxWord {
    /// Letters, or [`NO_DATA`].
    letters: Vec<u8>,
    cardinality: u8,
    /// Length of the series, 0 if it is not known.
    values: usize,
}

/// Distance of two words, which is never more than that of their series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinDist {
    /// The whole.
    pub distance: f64,
    /// The part from frames where the first word is above.
    pub above: f64,
    /// The part from frames where the first word is below.
    pub below: f64,
}

impl SaxWord {
    /// What `sax.version()` tells scripts.
    pub const VERSION: &str = "0.4.0";

    /// The word of a series with that many frames, over that many letters.
    pub fn from_values(values: &[f64], frames: i64, cardinality: i64) -> Result<Self, Error> {
        let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
        check_dimensions(length, frames, cardinality)?;
        Ok(word_of(values.iter().copied(), values.len(), frames as usize, cardinality as u8))
    }

    /// Reads a word as it is written: letters, and `#` where there is no data.
    pub fn parse(text: &[u8], cardinality: i64) -> Result<Self, Error> {
        if text.len() < 2 {
            return Err(Error::SaxWordLength);
        }
        if !(2..=CARDINALITY_MAX).contains(&cardinality) {
            return Err(Error::SaxSymbols);
        }
        let cardinality = cardinality as u8;
        let is_letter = |byte: &u8| *byte == NO_DATA || (b'A'..b'A' + cardinality).contains(byte);
        if !text.iter().all(is_letter) {
            return Err(Error::SaxSymbols);
        }
        Ok(Self { letters: text.to_vec(), cardinality, values: 0 })
    }

    /// Bytes of a word of that many frames.
    #[must_use]
    pub fn memory_for(frames: usize) -> usize {
        frames.saturating_add(FIXED_BYTES)
    }

    /// Its letters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.letters
    }

    /// Number of letters that it is made of.
    #[must_use]
    pub fn cardinality(&self) -> u8 {
        self.cardinality
    }

    /// Distance to another word of as many frames over as many letters; `None` if it is not such a one, or both know the
    /// lengths of their series and these differ.
    #[must_use]
    pub fn mindist(&self, other: &Self) -> Option<MinDist> {
        let frames = self.letters.len();
        let is_alike = self.cardinality == other.cardinality && frames == other.letters.len();
        let lengths_differ = self.values != other.values && self.values > 0 && other.values > 0;
        if !is_alike || lengths_differ {
            return None;
        }
        let values = match self.values.max(other.values) {
            0 => frames,
            values => values,
        };
        let (mut above, mut below) = (0.0, 0.0);
        let bounds = bounds(self.cardinality);
        for (&left, &right) in self.letters.iter().zip(&other.letters) {
            let (left, right) = bands(left, right, self.cardinality);
            let square = letter_distance(left.min(right), left.max(right), &bounds).powi(2);
            *(if left > right { &mut above } else { &mut below }) += square;
        }
        let scale = (values as f64 / frames as f64).sqrt();
        let distance = scale * f64::sqrt(above + below);
        Some(MinDist { distance, above: scale * above.sqrt(), below: scale * below.sqrt() })
    }

    /// Appends the statement of Lua that makes this word again under `key`, which is an expression of Lua.
    pub fn preserve(&self, key: &[u8], out: &mut Vec<u8>) {
        append_new(out, key, format_args!("sax.word.new(\"{self}\", {})", self.cardinality));
    }
}

/// Words are equal if their letters are, and what these are out of.
impl PartialEq for SaxWord {
    fn eq(&self, other: &Self) -> bool {
        self.cardinality == other.cardinality && self.letters == other.letters
    }
}

impl fmt::Display for SaxWord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.letters).map_err(|_| fmt::Error)?)
    }
}

/// The last values of a series, which always have a word.
#[derive(Debug, Clone)]
pub struct SaxWindow {
    /// NaN where none was added yet.
    values: Vec<f64>,
    /// Index of the oldest one.
    oldest: usize,
    frames: usize,
    cardinality: u8,
}

impl SaxWindow {
    /// Bytes of a window of that many values.
    #[must_use]
    pub fn memory_for(values: usize) -> usize {
        values.saturating_mul(size_of::<f64>()).saturating_add(FIXED_BYTES)
    }

    /// An empty window.
    pub fn new(values: i64, frames: i64, cardinality: i64) -> Result<Self, Error> {
        check_dimensions(values, frames, cardinality)?;
        let mut ring = zeroed(values as usize)?;
        ring.fill(f64::NAN);
        Ok(Self {
            values: ring,
            oldest: 0,
            frames: frames as usize,
            cardinality: cardinality as u8,
        })
    }

    /// Bytes to charge for this window.
    #[must_use]
    pub fn memory(&self) -> usize {
        Self::memory_for(self.values.len())
    }

    /// Adds a value; the oldest one goes. Costs nothing beside: the word is made when it is asked for.
    pub fn add(&mut self, value: f64) {
        self.values[self.oldest] = value;
        self.oldest = (self.oldest + 1) % self.values.len();
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.values.fill(f64::NAN);
        self.oldest = 0;
    }

    /// Its word.
    #[must_use]
    pub fn word(&self) -> SaxWord {
        word_of(self.in_order(), self.values.len(), self.frames, self.cardinality)
    }

    /// Values, the oldest first.
    fn in_order(&self) -> impl Iterator<Item = f64> + Clone {
        let (newer, older) = self.values.split_at(self.oldest);
        older.iter().chain(newer).copied()
    }

    /// Appends the statements of Lua that make this window again under `key`, which is an expression of Lua.
    pub fn preserve(&self, key: &[u8], out: &mut Vec<u8>) {
        let (values, frames, cardinality) = (self.values.len(), self.frames, self.cardinality);
        append_new(out, key, format_args!("sax.window.new({values}, {frames}, {cardinality})"));
        out.extend_from_slice(key);
        out.extend_from_slice(b":clear()\n");
        if self.values.iter().all(|value| value.is_nan()) {
            return;
        }
        out.extend_from_slice(key);
        out.extend_from_slice(b":add(");
        for (index, value) in self.in_order().enumerate() {
            append(out, format_args!("{}", if index > 0 { ',' } else { '{' }));
            heka_literal(value, out);
        }
        out.extend_from_slice(b"})\n");
    }
}

fn check_dimensions(values: i64, frames: i64, cardinality: i64) -> Result<(), Error> {
    if !(2..=VALUES_MAX).contains(&values) {
        return Err(Error::SaxValues);
    }
    if !(2..=FRAMES_MAX).contains(&frames) {
        return Err(Error::SaxFrames);
    }
    if values % frames != 0 {
        return Err(Error::SaxDivisible);
    }
    if !(2..=CARDINALITY_MAX).contains(&cardinality) {
        return Err(Error::SaxCardinality);
    }
    Ok(())
}

/// The word of a series of that many values. The order is that of time for the mean too: a letter at the border of two
/// bands must not depend on where a window keeps its oldest value.
fn word_of(
    mut in_order: impl Iterator<Item = f64> + Clone,
    values: usize,
    frames: usize,
    cardinality: u8,
) -> SaxWord {
    let (mean, deviation) = mean_and_deviation(in_order.clone());
    let bounds = bounds(cardinality).map(cut_off);
    let bounds = &bounds[..usize::from(cardinality) - 1];
    let letter = |_| {
        let frame = in_order.by_ref().take(values / frames);
        let frame = frame.filter(|value| !value.is_nan());
        let (count, sum) = frame.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
        if count == 0.0 || f64::is_nan(sum) {
            return NO_DATA;
        }
        let level = match sum {
            _ if sum.is_infinite() => sum,
            _ if deviation < FLAT => 0.0,
            _ => (sum - count * mean) / (count * deviation),
        };
        b'A' + bounds.iter().take_while(|&&bound| level >= bound).count() as u8
    };
    SaxWord { letters: (0..frames).map(letter).collect(), cardinality, values }
}

/// Mean and standard deviation of the finite values, by Welford's method.
fn mean_and_deviation(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values.filter(|value| value.is_finite()) {
        count += 1.0;
        let difference = value - mean;
        squares += difference * difference * (count - 1.0) / count;
        mean += difference / count;
    }
    if count == 0.0 { (0.0, 0.0) } else { (mean, (squares / count).sqrt()) }
}

/// Bounds between the bands, the lowest first; those beyond the number of bands are of no use.
fn bounds(cardinality: u8) -> [f64; CARDINALITY_MAX as usize - 1] {
    let positive = QUANTILES[usize::from(cardinality) - 2];
    let middle = usize::from(cardinality) - 1 - 2 * positive.len();
    let negative = positive.iter().rev().map(|bound| -bound);
    let all = negative.chain((0..middle).map(|_| 0.0)).chain(positive.iter().copied());
    let mut bounds = [f64::INFINITY; CARDINALITY_MAX as usize - 1];
    bounds.iter_mut().zip(all).for_each(|(to, bound)| *to = bound);
    bounds
}

/// Three decimals, in single precision.
fn cut_off(bound: f64) -> f64 {
    f64::from(((bound * 1000.0).trunc() / 1000.0) as f32)
}

/// Bands of two letters. Data against none is as far as it can be.
fn bands(left: u8, right: u8, cardinality: u8) -> (u8, u8) {
    let highest = cardinality - 1;
    let farthest = |letter: u8| if letter < highest - letter { highest } else { 0 };
    match (left, right) {
        (NO_DATA, NO_DATA) => (0, 0),
        (NO_DATA, _) => (farthest(right - b'A'), right - b'A'),
        (_, NO_DATA) => (left - b'A', farthest(left - b'A')),
        _ => (left - b'A', right - b'A'),
    }
}

/// Distance between two bands: of the bounds between them, rounded to three decimals.
fn letter_distance(lower: u8, higher: u8, bounds: &[f64]) -> f64 {
    if higher - lower < 2 {
        return 0.0;
    }
    let distance = bounds[usize::from(higher) - 1] - bounds[usize::from(lower)];
    f64::from(((distance * 1000.0).round() / 1000.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_symmetric_and_ascend() {
        for cardinality in 2..=16 {
            let bounds = &bounds(cardinality)[..usize::from(cardinality) - 1];
            assert!(bounds.is_sorted_by(|left, right| left < right));
            assert!(bounds.iter().zip(bounds.iter().rev()).all(|(low, high)| *low == -high));
        }
    }

    #[test]
    fn letters_change_at_the_bounds() {
        assert_eq!(bounds(3).map(cut_off)[..2], [f64::from(-0.43_f32), f64::from(0.43_f32)]);
        assert_eq!(bounds(2).map(cut_off)[0], 0.0);
        assert_eq!(letter_distance(0, 2, &bounds(4)), f64::from(0.674_f32));
        assert_eq!(letter_distance(0, 3, &bounds(4)), f64::from(1.349_f32));
        assert_eq!(letter_distance(0, 15, &bounds(16)), f64::from(3.068_f32));
        assert_eq!(letter_distance(1, 2, &bounds(4)), 0.0);
    }
}
