use countersign_worker::{mirror::*, toolchain, upstream::*};
use std::path::Path;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let config = UpstreamConfig::from_environment().unwrap();
    eprintln!("{config:?}");
    let cache = toolchain::Cache::open(Path::new("/tmp/mir/cache"), true).unwrap();
    let upstream = Upstream::new(&config, &cache.registry_folder()).unwrap();
    let t = std::time::Instant::now();
    for (n, v) in [
        ("node", toolchain::DEFAULT_NODE),
        ("npm", toolchain::DEFAULT_NPM),
        ("node", "16.20.2"),
        ("npm", "8.19.4"),
    ] {
        let p = cache
            .ensure(&upstream, &toolchain::Tool::named(n, v).unwrap(), &mut |_d, _t| {})
            .await
            .unwrap();
        println!("{} {:?}", p.display(), t.elapsed());
    }
    let locked: Vec<LockedVersion> = std::fs::read_to_string(&args[2])
        .map(|text| {
            let v: serde_json::Value = serde_json::from_str(&text).unwrap();
            v["packages"]
                .as_object()
                .unwrap()
                .iter()
                .filter_map(|(k, e)| {
                    let name = e["name"].as_str().unwrap_or(k.rsplit("node_modules/").next()?);
                    LockedVersion::new(
                        name.parse().ok()?,
                        e["version"].as_str()?.parse().ok()?,
                        e["integrity"].as_str()?,
                    )
                })
                .collect()
        })
        .unwrap_or_default();
    println!("locked {}", locked.len());
    let policy = MirrorPolicy {
        subject: ("minimatch".parse().unwrap(), "10.2.6".parse().unwrap()),
        staged_sha512: countersign_core::Sha512::of(b"x"),
        cutoff: args[1].parse().unwrap(),
        locked,
    };
    let mirror = Mirror::start(Path::new("/tmp/mir/m.sock"), policy, upstream.clone()).unwrap();
    println!("ready");
    let mut line = String::new();
    tokio::task::spawn_blocking(move || {
        std::io::stdin().read_line(&mut line).unwrap();
    })
    .await
    .unwrap();
    let record = mirror.finish().await;
    let mut by = std::collections::BTreeMap::new();
    for r in &record.requests {
        *by.entry(format!("{:?} {:?}", r.outcome, r.reason)).or_insert(0) += 1;
        if r.outcome != countersign_core::rebuild::RequestOutcome::Served {
            println!("{r:?}");
        }
    }
    println!(
        "{by:?} deps {} unlocked {} unreliable {} unavailable {:?} upstream {}",
        record.dependencies.len(),
        record.dependencies.iter().filter(|d| !d.locked).count(),
        record.cutoff_unreliable.len(),
        record.unavailable,
        upstream.requests_sent()
    );
}
