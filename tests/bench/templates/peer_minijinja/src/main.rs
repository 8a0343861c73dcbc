// MiniJinja's side: the same lines in, CPU nanoseconds out. Values are converted once, before the clock runs.
use minijinja::{Environment, Value};
use std::io::{BufRead, Write};

fn now() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let sources: Vec<String> = cases.iter().map(|c| c["template"].as_str().unwrap().to_string()).collect();
    let contexts: Vec<Value> = cases.iter().map(|c| Value::from_serialize(&c["context"])).collect();
    let mut environment = Environment::new();
    for (i, source) in sources.iter().enumerate() {
        environment.add_template_owned(i.to_string(), source.clone()).unwrap();
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (what, index, count) = (words[0], words[1].parse::<usize>().unwrap(), words[2].parse::<u64>().unwrap());
        let template = environment.get_template(words[1]).unwrap();
        if what == "show" {
            println!("{}", template.render(&contexts[index]).unwrap());
            continue;
        }
        let start = now();
        for _ in 0..count {
            if what == "render" {
                std::hint::black_box(template.render(&contexts[index]).unwrap());
            } else {
                std::hint::black_box(environment.template_from_str(&sources[index]).unwrap());
            }
        }
        println!("{}", now() - start);
        std::io::stdout().flush().unwrap();
    }
}
