//! A graph of transactions, and its strongly connected components.

/// Why one transaction comes before another; several reasons may hold for one pair.
pub type Kinds = u8;

/// The second wrote over what the first wrote.
pub const WW: Kinds = 1;
/// The second read what the first wrote.
pub const WR: Kinds = 2;
/// The second wrote over what the first read: an anti-dependency.
pub const RW: Kinds = 4;
/// The first ended before the second began, in one process.
pub const PROCESS: Kinds = 8;
/// The first ended before the second began.
pub const REALTIME: Kinds = 16;
/// The second wrote over what the first read by a condition rather than by a key.
pub const PRW: Kinds = 32;

/// Any anti-dependency.
pub const ANTI: Kinds = RW | PRW;

pub type Node = u32;

/// Edges by their origin.
#[derive(Debug, Clone)]
pub struct Graph {
    begin: Vec<u32>,
    edges: Vec<(Node, Kinds)>,
}

impl Graph {
    /// Edges from a node to itself are dropped.
    pub fn new(nodes: usize, mut edges: Vec<(Node, Node, Kinds)>) -> Graph {
        edges.retain(|(a, b, _)| a != b);
        edges.sort_unstable();
        edges.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 |= next.2;
            }
            same
        });
        let mut begin = vec![0; nodes + 1];
        for (a, ..) in &edges {
            begin[*a as usize + 1] += 1;
        }
        for i in 0..nodes {
            begin[i + 1] += begin[i];
        }
        Graph { begin, edges: edges.into_iter().map(|(_, b, kinds)| (b, kinds)).collect() }
    }

    pub fn len(&self) -> usize {
        self.begin.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn out(&self, node: Node) -> &[(Node, Kinds)] {
        &self.edges[self.begin[node as usize] as usize..self.begin[node as usize + 1] as usize]
    }

    pub fn edges(&self) -> impl Iterator<Item = (Node, Node, Kinds)> + '_ {
        (0..self.len() as Node).flat_map(|a| self.out(a).iter().map(move |(b, kinds)| (a, *b, *kinds)))
    }

    /// The part of the graph among `nodes`, which are numbered by their place there.
    pub fn among(&self, nodes: &[Node], place: &mut [u32]) -> Graph {
        for (at, node) in nodes.iter().enumerate() {
            place[*node as usize] = at as u32;
        }
        let mut edges = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            for (to, kinds) in self.out(*node) {
                let to = place[*to as usize];
                if to != OUTSIDE {
                    edges.push((at as Node, to, *kinds));
                }
            }
        }
        for node in nodes {
            place[*node as usize] = OUTSIDE;
        }
        Graph::new(nodes.len(), edges)
    }

    /// Components of two nodes or more, following edges that have one of `kinds`.
    /// (Tarjan, "Depth-first search and linear graph algorithms", 1972; without recursion.)
    pub fn components(&self, kinds: Kinds) -> Vec<Vec<Node>> {
        const UNSEEN: u32 = u32::MAX;
        let n = self.len();
        let (mut order, mut low) = (vec![UNSEEN; n], vec![0_u32; n]);
        let mut on_stack = vec![false; n];
        let (mut stack, mut path): (Vec<Node>, Vec<(Node, usize)>) = (Vec::new(), Vec::new());
        let (mut next, mut found) = (0, Vec::new());
        for root in 0..n as Node {
            if order[root as usize] != UNSEEN {
                continue;
            }
            path.push((root, 0));
            while let Some((node, at)) = path.pop() {
                let here = node as usize;
                if at == 0 {
                    order[here] = next;
                    low[here] = next;
                    next += 1;
                    stack.push(node);
                    on_stack[here] = true;
                }
                let mut deeper = None;
                for (i, (to, has)) in self.out(node).iter().enumerate().skip(at) {
                    if has & kinds == 0 {
                        continue;
                    }
                    let there = *to as usize;
                    if order[there] == UNSEEN {
                        deeper = Some((i, *to));
                        break;
                    }
                    if on_stack[there] {
                        low[here] = low[here].min(order[there]);
                    }
                }
                if let Some((i, to)) = deeper {
                    // The edge is looked at once more when its end has been explored, for its low mark.
                    path.push((node, i + 1));
                    path.push((to, 0));
                    continue;
                }
                if low[here] == order[here] {
                    let from = stack.iter().rposition(|n| *n == node).expect("a root is on the stack");
                    let component: Vec<Node> = stack.drain(from..).collect();
                    component.iter().for_each(|n| on_stack[*n as usize] = false);
                    if component.len() > 1 {
                        found.push(component);
                    }
                }
                if let Some((parent, _)) = path.last() {
                    low[*parent as usize] = low[*parent as usize].min(low[here]);
                }
            }
        }
        found.iter_mut().for_each(|c| c.sort_unstable());
        found.sort_unstable();
        found
    }

    /// The graph whose cycles are this graph's closed walks without two anti-dependencies in a row, which is what
    /// snapshot isolation forbids (Cerone, Gotsman 2016). Node `2 n` is `n` reached by another edge, `2 n + 1` is
    /// `n` reached by an anti-dependency.
    pub fn without_adjacent(&self, plain: Kinds, anti: Kinds) -> Graph {
        let mut edges = Vec::new();
        for (a, b, kinds) in self.edges() {
            if kinds & plain != 0 {
                edges.push((2 * a, 2 * b, WW));
                edges.push((2 * a + 1, 2 * b, WW));
            }
            if kinds & anti != 0 {
                edges.push((2 * a, 2 * b + 1, RW));
            }
        }
        Graph::new(2 * self.len(), edges)
    }
}

/// What [`Graph::among`] expects of its scratch space.
pub const OUTSIDE: u32 = u32::MAX;
