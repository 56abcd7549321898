//! The plan that fleets make most: a tree of joins over leaves, and a wrap.

use starkwright_fleet::task::TaskSpec;

/// So many leaves, as many joins less one, a wrap. A task is made of its kind, level, index in its level, and children.
pub fn tree(leaves: u32, task: impl Fn(&str, u32, u64, Vec<u32>) -> TaskSpec) -> Vec<TaskSpec> {
    let leaf = |index| task("leaf", 0, u64::from(index), Vec::new());
    let mut tasks: Vec<TaskSpec> = (0..leaves).map(leaf).collect();
    let mut row: Vec<u32> = (0..leaves).collect();
    let mut level = 0;
    while row.len() > 1 {
        level += 1;
        let mut above = Vec::new();
        for (index, pair) in (0..).zip(row.chunks(2)) {
            if pair.len() == 1 {
                above.push(pair[0]);
                continue;
            }
            above.push(tasks.len() as u32);
            tasks.push(task("join", level, index, pair.to_vec()));
        }
        row = above;
    }
    tasks.push(task("wrap", level + 1, 0, row));
    tasks
}
