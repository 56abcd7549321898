//! The tables, as a list of steps forward. A step that was released never changes: another one is added.

/// Each step's statements, `{blob}` and `{identity}` standing for what the database calls them.
///
/// Numbers of 64 bits without sign are kept as they are where they only have to come back, and with their top bit flipped
/// where their order counts (`first`, `memory`).
pub(super) const STEPS: &[&[&str]] = &[&[
    "CREATE TABLE jobs (
        sequence {identity},
        id TEXT NOT NULL UNIQUE,
        machine TEXT NOT NULL,
        version TEXT NOT NULL,
        payload {blob} NOT NULL,
        stream TEXT NOT NULL,
        first BIGINT NOT NULL,
        count BIGINT NOT NULL,
        priority BIGINT NOT NULL,
        state BIGINT NOT NULL,
        submitted BIGINT NOT NULL,
        ended BIGINT,
        result TEXT,
        result_bytes BIGINT,
        error TEXT NOT NULL,
        trace TEXT NOT NULL,
        archived BIGINT NOT NULL,
        total BIGINT NOT NULL,
        done BIGINT NOT NULL
    )",
    "CREATE INDEX jobs_state ON jobs (state, stream)",
    "CREATE INDEX jobs_result ON jobs (result)",
    "CREATE TABLE inputs (
        job TEXT NOT NULL,
        position BIGINT NOT NULL,
        hash TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        PRIMARY KEY (job, position)
    )",
    "CREATE INDEX inputs_hash ON inputs (hash)",
    // What a claim orders by is here and not in `jobs`, so that one index answers it.
    "CREATE TABLE tasks (
        job TEXT NOT NULL,
        number BIGINT NOT NULL,
        machine TEXT NOT NULL,
        kind TEXT NOT NULL,
        owner BIGINT NOT NULL,
        level BIGINT NOT NULL,
        idx BIGINT NOT NULL,
        cnt BIGINT NOT NULL,
        circuit TEXT NOT NULL,
        input TEXT NOT NULL,
        input_blob BIGINT NOT NULL,
        input_offset BIGINT NOT NULL,
        input_bytes BIGINT NOT NULL,
        payload {blob} NOT NULL,
        memory BIGINT NOT NULL,
        work BIGINT NOT NULL,
        behind_priority BIGINT NOT NULL,
        behind_urgency BIGINT NOT NULL,
        first BIGINT NOT NULL,
        sequence BIGINT NOT NULL,
        missing BIGINT NOT NULL,
        live BIGINT NOT NULL,
        state BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        token BIGINT NOT NULL,
        prover TEXT NOT NULL,
        expires BIGINT NOT NULL,
        failed_by TEXT NOT NULL,
        proof TEXT,
        proof_bytes BIGINT,
        seconds DOUBLE PRECISION,
        PRIMARY KEY (job, number),
        UNIQUE (job, owner, level, idx, cnt, circuit)
    )",
    // state 1: ready; state 2: leased.
    "CREATE INDEX tasks_ready ON tasks (machine, behind_priority, behind_urgency, first, sequence, number)
        WHERE state = 1 AND live = 1",
    "CREATE INDEX tasks_leased ON tasks (expires) WHERE state = 2",
    "CREATE INDEX tasks_held ON tasks (prover) WHERE state = 2",
    "CREATE INDEX tasks_proof ON tasks (proof) WHERE proof IS NOT NULL",
    "CREATE INDEX tasks_state ON tasks (job, state)",
    "CREATE TABLE edges (
        job TEXT NOT NULL,
        parent BIGINT NOT NULL,
        position BIGINT NOT NULL,
        child BIGINT NOT NULL,
        PRIMARY KEY (job, parent, position)
    )",
    "CREATE INDEX edges_child ON edges (job, child)",
    "CREATE TABLE provers (
        name TEXT NOT NULL PRIMARY KEY,
        device TEXT NOT NULL,
        memory BIGINT NOT NULL,
        machines TEXT NOT NULL,
        done BIGINT NOT NULL,
        refused BIGINT NOT NULL,
        quarantined TEXT NOT NULL,
        seen BIGINT NOT NULL
    )",
    "CREATE TABLE rates (
        device TEXT NOT NULL,
        machine TEXT NOT NULL,
        kind TEXT NOT NULL,
        samples BIGINT NOT NULL,
        pace DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (device, machine, kind)
    )",
    "CREATE TABLE refusals (
        id {identity},
        job TEXT NOT NULL,
        number BIGINT NOT NULL,
        prover TEXT NOT NULL,
        blob TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        why TEXT NOT NULL,
        at BIGINT NOT NULL
    )",
    "CREATE INDEX refusals_blob ON refusals (blob)",
]];
