//! The site that is visited: what it serves, how often that is asked for, and the weighted choice itself.
//!
//! Here: tables. Not here: who asks (`clients`) nor what is answered (`generator`).

/// What a resource is, which decides how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page made for each request.
    Page,
    /// A file that never changes.
    Asset,
    /// A call of a program.
    Api,
    /// A large file.
    Download,
    /// Something that does not exist, and that only scanners ask for.
    Probe,
    /// The check of a monitor.
    Health,
}

/// Something that the site serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// A number from 1 to here follows the path; 0: none does.
    pub(super) numbers: u32,
    /// Bytes of a usual answer.
    pub(super) bytes: u32,
    pub(super) weight: f64,
}

const fn get(kind: Kind, path: &'static str, numbers: u32, bytes: u32, weight: f64) -> Resource {
    Resource { kind, method: "GET", path, numbers, bytes, weight }
}

const fn post(path: &'static str, numbers: u32, bytes: u32, weight: f64) -> Resource {
    Resource { kind: Kind::Api, method: "POST", path, numbers, bytes, weight }
}

/// Where referers of the site's own pages begin.
pub(super) const SITE: &str = "https://shop.example";

/// All that can be asked for.
pub(super) const RESOURCES: [Resource; 38] = [
    get(Kind::Page, "/", 0, 18_400, 30.0),
    get(Kind::Page, "/products/", 480, 22_800, 26.0),
    get(Kind::Page, "/category/shoes", 0, 31_200, 9.0),
    get(Kind::Page, "/category/jackets", 0, 29_700, 7.0),
    get(Kind::Page, "/category/sale", 0, 35_100, 11.0),
    get(Kind::Page, "/search?q=rain+jacket&page=", 9, 27_900, 8.0),
    get(Kind::Page, "/cart", 0, 12_300, 6.0),
    get(Kind::Page, "/checkout", 0, 14_600, 2.5),
    get(Kind::Page, "/account", 0, 11_800, 2.0),
    get(Kind::Page, "/blog/", 60, 16_900, 4.0),
    get(Kind::Page, "/about", 0, 8_200, 0.8),
    get(Kind::Asset, "/assets/app.7f3a91.js", 0, 184_320, 20.0),
    get(Kind::Asset, "/assets/vendor.c02e4d.js", 0, 412_870, 18.0),
    get(Kind::Asset, "/assets/site.11be02.css", 0, 48_210, 20.0),
    get(Kind::Asset, "/assets/inter.woff2", 0, 96_104, 12.0),
    get(Kind::Asset, "/img/logo.svg", 0, 3_914, 18.0),
    get(Kind::Asset, "/img/p/", 480, 61_440, 34.0),
    get(Kind::Asset, "/favicon.ico", 0, 1_406, 6.0),
    get(Kind::Api, "/api/v2/products/", 480, 2_310, 20.0),
    get(Kind::Api, "/api/v2/recommendations?for=", 480, 4_870, 12.0),
    get(Kind::Api, "/api/v2/cart", 0, 890, 16.0),
    get(Kind::Api, "/api/v2/stock/", 480, 142, 14.0),
    post("/api/v2/cart/items", 0, 412, 7.0),
    post("/api/v2/login", 0, 611, 3.0),
    post("/api/v2/orders", 0, 1_204, 1.5),
    post("/api/v2/events", 0, 2, 18.0),
    get(Kind::Download, "/downloads/catalog-2026.pdf", 0, 8_650_752, 1.0),
    get(Kind::Download, "/downloads/sizes.pdf", 0, 1_310_720, 1.0),
    get(Kind::Health, "/healthz", 0, 3, 1.0),
    get(Kind::Probe, "/wp-login.php", 0, 0, 5.0),
    get(Kind::Probe, "/.env", 0, 0, 5.0),
    get(Kind::Probe, "/.git/config", 0, 0, 3.0),
    get(Kind::Probe, "/phpmyadmin/index.php", 0, 0, 3.0),
    get(Kind::Probe, "/admin/config.php", 0, 0, 2.0),
    get(Kind::Probe, "/cgi-bin/luci/;stok=/locale", 0, 0, 1.0),
    get(Kind::Probe, "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", 0, 0, 1.0),
    get(Kind::Probe, "/backup.zip", 0, 0, 2.0),
    get(Kind::Probe, "/server-status", 0, 0, 1.0),
];

/// Where visitors come from, with weights; the first is "unknown".
pub(super) const REFERERS: [(&str, f64); 7] = [
    ("-", 45.0),
    ("https://www.google.com/", 30.0),
    ("https://duckduckgo.com/", 6.0),
    ("https://www.bing.com/", 5.0),
    ("https://news.ycombinator.com/item?id=41990132", 2.0),
    ("https://www.instagram.com/", 7.0),
    ("https://newsletter.shop.example/2026/46?utm_source=mail&utm_campaign=rain", 5.0),
];

/// Places of a wheel; the share of an item is exact to one place.
const PLACES: usize = 1 << 15;

/// A weighted choice of small numbers in constant time.
#[derive(Debug)]
pub(super) struct Wheel {
    places: Box<[u16]>,
}

impl Wheel {
    /// A wheel over items and their weights.
    pub(super) fn new(items: impl IntoIterator<Item = (u16, f64)>) -> Self {
        let items: Vec<(u16, f64)> = items.into_iter().collect();
        let whole: f64 = items.iter().map(|&(_, weight)| weight).sum();
        let mut places = Vec::with_capacity(PLACES);
        let mut upto = 0.0;
        for &(item, weight) in &items {
            upto += weight / whole * PLACES as f64;
            while (places.len() as f64) + 0.5 <= upto {
                places.push(item);
            }
        }
        // Sums of fractions may fall short of the last place by a hair.
        let last = items.last().map_or(0, |&(item, _)| item);
        places.resize(PLACES, last);
        Self { places: places.into() }
    }

    /// A wheel over the resources of a kind.
    pub(super) fn of_kind(kind: Kind) -> Self {
        let items = RESOURCES.iter().enumerate().filter(|(_, resource)| resource.kind == kind);
        Self::new(items.map(|(index, resource)| (index as u16, resource.weight)))
    }

    /// One of the items.
    pub(super) fn pick(&self, rng: &mut fastrand::Rng) -> usize {
        let place = rng.u32(..) as usize % PLACES;
        usize::from(self.places[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_picked_as_often_as_they_weigh() {
        let wheel = Wheel::new([(7, 1.0), (9, 3.0)]);
        let mut rng = fastrand::Rng::with_seed(1);
        let sevens = (0..10_000).filter(|_| wheel.pick(&mut rng) == 7).count();
        assert!((2_300..2_700).contains(&sevens), "{sevens}");
        let exact = wheel.places.iter().filter(|&&item| item == 7).count();
        assert_eq!(exact, PLACES / 4);
    }

    #[test]
    fn every_kind_has_resources_and_light_items_keep_a_place() {
        for kind in [Kind::Page, Kind::Asset, Kind::Api, Kind::Download, Kind::Probe, Kind::Health]
        {
            let wheel = Wheel::of_kind(kind);
            for (index, resource) in RESOURCES.iter().enumerate() {
                let present = wheel.places.iter().any(|&item| usize::from(item) == index);
                assert_eq!(present, resource.kind == kind, "{}", resource.path);
            }
        }
    }
}
