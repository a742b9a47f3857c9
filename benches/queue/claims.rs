//! What one claim costs, by how many entries wait.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use atm_agent_mcp::ids::DeliveryId;
use atm_agent_mcp::queue::{Claim, Claimer};

use crate::baseline::{Baseline, Durability};
use crate::stage::{Error, Figures, Size, ms};
use crate::stock;

const DEPTHS: [usize; 3] = [10, 1_000, 10_000];

/// How long each kind of claim took, in milliseconds.
#[derive(Default)]
struct Costs {
    first: Vec<f64>,
    later: Vec<f64>,
    urgent_first: Vec<f64>,
    urgent: Vec<f64>,
    baseline: Vec<f64>,
}

pub(crate) fn claims(out: &mut impl Write, place: &Path, size: Size) -> Result<(), Error> {
    let (times, each) = size.pick((15, 100), (5, 20));
    let costs = DEPTHS.map(|depth| costs(place, depth, times, each));
    let [few, many, most] = costs;
    let costs = [few?, many?, most?];
    writeln!(out, "claim one entry and give it back, by how many wait (ms)")?;
    writeln!(out, "  {:<34}{:>8}{:>8}{:>8}", "", DEPTHS[0], DEPTHS[1], DEPTHS[2])?;
    let mut row = |name: &str, kind: fn(&Costs) -> &Vec<f64>, percent| -> io::Result<()> {
        let [few, many, most] = costs.each_ref().map(|c| kind(c).iter().copied().collect::<Figures>().at(percent));
        writeln!(out, "  {name:<34}{few:8.3}{many:8.3}{most:8.3}")
    };
    row("a  a claimer's first, median", |c| &c.first, 50)?;
    row("   later ones, median", |c| &c.later, 50)?;
    row("   later ones, p99", |c| &c.later, 99)?;
    row("   urgent lane, first, median", |c| &c.urgent_first, 50)?;
    row("   urgent lane, later, median", |c| &c.urgent, 50)?;
    row("b  the predecessor's, median", |c| &c.baseline, 50)?;
    row("   the predecessor's, p99", |c| &c.baseline, 99)?;
    writeln!(out)?;
    Ok(())
}

fn costs(place: &Path, depth: usize, times: usize, each: usize) -> Result<Costs, Error> {
    let (_ours, queue) = stock::ours(place, depth)?;
    let (_baselines, baseline) = stock::baselines(place, depth, Durability::Hoped)?;
    let mut costs = Costs::default();
    for _ in 0..times {
        let mut claimer = queue.claimer();
        costs.first.push(timed(|| claim_first(&mut claimer))?);
        for _ in 0..each {
            costs.later.push(timed(|| claim_first(&mut claimer))?);
            costs.baseline.push(timed(|| baseline_first(&baseline))?);
        }
        // The first time it reads what every entry says; later it looks for new ones.
        costs.urgent_first.push(timed(|| none_urgent(&mut claimer))?);
        costs.urgent.push(timed(|| none_urgent(&mut claimer))?);
    }
    Ok(costs)
}

fn timed(act: impl FnOnce() -> Result<(), Error>) -> Result<f64, Error> {
    let since = Instant::now();
    act().map(|()| ms(since.elapsed()))
}

fn claim_first(claimer: &mut Claimer) -> Result<(), Error> {
    let claim = claimer.claim(1, &DeliveryId::next())?.pop();
    Ok(claim.map(Claim::release).ok_or("nothing to claim")??)
}

fn none_urgent(claimer: &mut Claimer) -> Result<(), Error> {
    claimer.arrived();
    let none = claimer.claim_urgent(1, &DeliveryId::next())?.is_empty();
    if none { Ok(()) } else { Err("an entry that should not be urgent".into()) }
}

fn baseline_first(baseline: &Baseline) -> Result<(), Error> {
    let claim = baseline.claims()?.next();
    Ok(claim.ok_or("nothing to claim")??.release()?)
}
