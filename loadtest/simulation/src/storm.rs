//! The storm that nodes go through while clients draw: crashes, outages, cuts, promotions.

use std::sync::Arc;

use revcast::store::Log;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::{chance::Chance, judge, world::World};

/// Something that is to happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    Crash,
    Outage,
    Cut,
    Promotion,
    NewEpoch,
}

/// Lets everything happen that the plan has, until the storm is over and all nodes run.
pub async fn rage(world: Arc<World>, drawings: Vec<Uuid>) {
    let (plan, chance) = (&world.plan, Chance::new(world.plan.seed).split("storm"));
    let begin = Instant::now();
    let mut events = Vec::new();
    let mut plan_some = |count: u64, event: Event| {
        let length = u64::try_from(plan.storm.as_millis()).unwrap_or(u64::MAX);
        events.extend((0..count).map(|_| (chance.millis(0, length), event)));
    };
    plan_some(plan.crashes, Event::Crash);
    plan_some(plan.store.outages, Event::Outage);
    plan_some(plan.bus.cuts, Event::Cut);
    plan_some(plan.failovers, Event::Promotion);
    plan_some(plan.cuts_epoch.into(), Event::NewEpoch);
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in events {
        sleep_until(begin + at).await;
        let node = usize::try_from(chance.below(plan.nodes as u64)).unwrap_or_default();
        match event {
            Event::Crash => {
                world.crash(node);
                sleep(chance.millis(0, 1_500)).await;
                world.start_node(node).await;
            }
            Event::Outage => {
                world.weather.set_outage(true);
                sleep(chance.millis(200, 2_500)).await;
                world.weather.set_outage(false);
            }
            Event::Cut => {
                world.weather.set_cut(node, true);
                sleep(chance.millis(200, 3_000)).await;
                world.weather.set_cut(node, false);
            }
            Event::Promotion => promote(&world, &chance, &drawings).await,
            Event::NewEpoch => {
                judge::record_logs(&world, &drawings).await;
                // Nothing comes in between: no await that waits.
                drop(world.store.new_epoch().await);
            }
        }
    }
    sleep_until(begin + plan.storm).await;
    world.weather.calm();
}

async fn promote(world: &World, chance: &Chance, drawings: &[Uuid]) {
    let standby = world.store.standby();
    if world.plan.loses_ops {
        sleep(chance.millis(0, 800)).await;
    }
    judge::record_logs(world, drawings).await;
    world.store.fail_over_to(standby);
}

/// Says how the present epoch of a drawing goes on, as a line of the history.
pub(crate) fn log_line(drawing: Uuid, branch: &revcast::model::Branch, head: u64) -> serde_json::Value {
    let mut line = json!({
        "event": "log", "drawing": drawing.to_string(), "epoch": branch.epoch.to_string(), "head": head,
    });
    if let Some((previous, base)) = branch.previous_epoch().zip(branch.base()) {
        line["previous_epoch"] = previous.to_string().into();
        line["base"] = base.0.into();
    }
    line
}
