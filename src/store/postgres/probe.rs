//! The small write that proves that the database takes writes, wherever it is.

use std::pin::pin;

use sqlx::Postgres;
use tokio::time::{sleep, timeout};

use super::hosts::Hosts;
use crate::{
    clock::now_ms,
    limits,
    store::{
        Probe, StoreError,
        error::Verdict,
        sql::{Pools, query},
    },
};

/// Writes by the pool; where that fails or takes long, by a new connection to whichever host takes writes: if that
/// succeeds, the fault is with the sessions, or the database is at another host.
pub(super) async fn write(pools: &Pools<Postgres>, hosts: &Hosts, probe: Probe) -> Result<(), StoreError> {
    let mut touch = pin!(write_once(pools, probe));
    match timeout(limits::STORE_SLOW_CALL, &mut touch).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => {
            if Verdict::of(&error) == Verdict::NoRoom {
                return Err(error.into());
            }
            hosts.follow(&pools.write).await?;
            return Ok(write_once(pools, probe).await?);
        }
        Err(_) => (),
    }
    loop {
        tokio::select! {
            outcome = &mut touch => return Ok(outcome?),
            found = hosts.follow(&pools.write) => match found {
                Err(error) if error.is_silence() => (),
                found => {
                    found?;
                    return Ok(write_once(pools, probe).await?);
                }
            },
        }
        tokio::select! {
            outcome = &mut touch => return Ok(outcome?),
            () = sleep(limits::STORE_PROBE_PAUSE) => (),
        }
    }
}

async fn write_once(pools: &Pools<Postgres>, probe: Probe) -> sqlx::Result<()> {
    query(
        "INSERT INTO write_probe (at, filling) VALUES ($1, $2)
             ON CONFLICT (id) DO UPDATE
            SET at = excluded.at, filling = coalesce(excluded.filling, write_probe.filling)",
    )
    .bind(now_ms())
    .bind(probe.filling())
    .execute(&pools.write)
    .await?;
    pools.write.wrote();
    Ok(())
}
