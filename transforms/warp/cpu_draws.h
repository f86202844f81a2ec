// All parameters of a batch, drawn and composed by a table (draw_table.py): what the transforms' own methods say, in
// float64, image after image.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "cpu_philox.h"

namespace onewarp {

enum class Operation : int32_t {
    dihedral,
    affine,
    zoom,
    perspective,
    crop,
    random_crop,
    homography,
    brightness,
    factor,
    channels,
    hue,
    gamma,
    solarize,
    posterize,
    erase,
    end
};

enum Flag {
    kBatch = 1,
    kPicked = 2,
    kAtEnds = 4,
    kPower = 8,
    kTurns = 16,
    kPad = 32,
    kSquish = 64,
    kLogit = 128,
    kMix = 256
};

// A row's whole numbers, and the others.
struct Whole {
    Operation operation;
    int32_t flags, word, index, of, segment, frame, group;  // The last two are for the GPU.
};
struct Real {
    double low[8], span[8], chance[4], other[12];
};
static_assert(sizeof(Whole) == 8 * sizeof(int32_t) && sizeof(Real) == 32 * sizeof(double), "as in draw_table.py");

struct Drawing {
    Block<const Whole> whole;
    Block<const Real> real;      // As many.
    Block<const double> sizes;   // [count, 2] height, width
    Block<const uint64_t> keys;  // [count]
    uint32_t first, second;
    double height, width;  // of the result; 0 for those of the images
    // A row an image, and all but the homographies for each segment; null for what no segment has.
    Block<double> matrix, logit, hue, table, colour, erase;
};

// Why a drawing cannot be done, or null: what is read and written is as long as it has to be.
inline const char* refusal(const Drawing& d) {
    const int64_t count = d.keys.count;
    if (count < 0 || d.whole.count < 0) return "keys and integers must be whole rows";
    if (d.real.count != d.whole.count) return "floats must have a row for each of integers";
    if (d.sizes.count != 2 * count) return "sizes must have a height and a width for each key";
    if (d.matrix.count != 9 * count) return "matrix must have nine numbers for each key";
    int64_t segments = 0;
    for (int64_t row = 0; row < d.whole.count; row++) {
        const Whole& whole = d.whole.at[row];
        if (whole.operation < Operation::dihedral || whole.operation > Operation::end) return "no such operation";
        if (whole.operation == Operation::end && whole.segment != segments++) return "segments must be in their order";
    }
    const std::pair<const Block<double>*, int64_t> outputs[] = {
        {&d.logit, 12}, {&d.hue, 1}, {&d.table, 256}, {&d.colour, 12}, {&d.erase, 4}};
    for (const auto& [block, numbers] : outputs)
        if ((block->at || block->count) && block->count != segments * count * numbers) return "a stage must have a row for each segment";
    return nullptr;
}

constexpr double kLuma[3] = {0.2989, 0.5870, 0.1140}, kDegree = 0.017453292519943295;

// An operation's numbers for one sample, and whether it does anything to it.
struct Numbers {
    const Real& real;
    double u[8];
    bool acts, happens;

    Numbers(const Drawing& d, const Whole& whole, const Real& real, uint64_t key) : real(real) {
        if (whole.flags & kBatch) key = 0;
        const uint32_t low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
        uint32_t words[8];
        for (uint32_t block = 0; block < 2; block++) {
            const uint32_t counter[4] = {low, high, static_cast<uint32_t>(whole.word), block};
            philox(counter, d.first, d.second, words + 4 * block);
        }
        for (int i = 0; i < 8; i++) u[i] = (words[i] >> 8) * 0x1p-24;
        acts = true;
        if (whole.flags & kPicked) {
            acts = static_cast<int32_t>((words[0] >> 8) * static_cast<uint64_t>(whole.of) >> 24) == whole.index;
            for (int i = 0; i < 7; i++) u[i] = !(whole.flags & kAtEnds) ? u[i + 1] : u[i + 1] < 0.5 ? 0 : 1 - 0x1p-24;
        }
        happens = u[0] < real.chance[0];
    }
    // Number i in its range.
    double operator()(int i) const { return real.low[i] + real.span[i] * u[i]; }
};

struct Matrix {
    double m[9];
};
inline Matrix operator*(const Matrix& s, const Matrix& t) {
    Matrix product;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            product.m[3 * i + j] = s.m[3 * i] * t.m[j] + s.m[3 * i + 1] * t.m[3 + j] + s.m[3 * i + 2] * t.m[6 + j];
    return product;
}
// A scale along each axis and then a shift.
inline Matrix scaled(double x, double y, double right, double down) { return {{x, 0, right, 0, y, down, 0, 0, 1}}; }

struct Frame {
    double height, width;
};

// The scale that takes a box of a share of the frame, at (x, y) of the room that there is.
inline Matrix box(double share_x, double share_y, double x, double y) {
    return scaled(share_x, share_y, (1 - share_x) * (2 * x - 1), (1 - share_y) * (2 * y - 1));
}

// An operation's matrix, output to input in normalised coordinates; `frame` becomes what it leaves.
inline Matrix geometric(const Whole& whole, const Numbers& n, Frame& frame) {
    const Real& real = n.real;
    const double aspect = frame.width / frame.height;
    switch (whole.operation) {
        case Operation::dihedral: {
            const int which = n.happens ? static_cast<int>(std::fmin(std::fmax(n(1), 0), 7)) : 0;
            const double x = which & 1 ? -1 : 1, y = which & 2 ? -1 : 1;
            if (!(which & 4)) return scaled(x, y, 0, 0);
            if (whole.flags & kTurns) frame = {frame.width, frame.height};
            return {{0, x, 0, y, 0, 0, 0, 0, 1}};
        }
        case Operation::affine: {
            if (!n.happens) return scaled(1, 1, 0, 0);
            const double angle = n(1) * kDegree, c = std::cos(angle), s = std::sin(angle);
            const double skew_x = std::tan(n(5) * kDegree), skew_y = std::tan(n(6) * kDegree);
            const double scale = n(4), both = 1 + skew_x * skew_y;  // Along x, then along y: areas stay.
            const Matrix moved = scaled(1, 1, -2 * n(2), -2 * n(3));
            return Matrix{{(both * c + skew_x * s) / scale, (both * s - skew_x * c) / scale / aspect, 0,
                           (-s - skew_y * c) / scale * aspect, (c - skew_y * s) / scale, 0, 0, 0, 1}} *
                   moved;
        }
        case Operation::zoom: {
            const double share = 1 / (n.happens ? n(1) : 1);
            return box(share, share, n(2), n(3));
        }
        case Operation::perspective: {
            const double x = n.happens ? n(1) : 0, y = n.u[2] < real.chance[1] ? n(3) : 0;
            const double b = 2 * x * y / (1 - x * x - y * y), c = -x - b * y, f = -y - b * x;
            return {{1, b, c, b, 1, f, c, f, 1}};
        }
        case Operation::crop: {
            const Frame leaves = {real.other[0], real.other[1]};
            const double wide = aspect * leaves.height / leaves.width;  // Above one: the frame is too wide.
            double x = std::fmin(1 / wide, 1), y = std::fmin(wide, 1);
            if (whole.flags & kPad) x = std::fmax(1 / wide, 1), y = std::fmax(wide, 1);
            if (whole.flags & kSquish) x = y = 1;
            frame = leaves;
            return box(x, y, n(0), n(1));
        }
        case Operation::random_crop: {
            const double ratio = std::exp(n(1)), widest = std::fmin(frame.width, frame.height * ratio);
            const double area = n(0) * frame.width * frame.height;
            const double width = std::fmin(std::sqrt(area * ratio), widest) * real.other[2];
            const double x = width / frame.width, y = width / ratio / frame.height;
            frame = {real.other[0], real.other[1]};
            return box(x, y, n(2), n(3));
        }
        default:  // A homography that is given.
            Matrix given;
            std::memcpy(given.m, real.other, sizeof given.m);
            return given;
    }
}

// An affine map of RGB or of its logits, and what is done after it.
struct Affine {
    double m[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};

    void then(const Whole& whole, const Numbers& n) {
        double scale[3] = {1, 1, 1}, shift[3] = {0, 0, 0}, luma = 0;
        if (whole.operation == Operation::brightness) {
            const double change = std::fmin(std::fmax(n.happens ? n(1) : 0.5, 1e-7), 1 - 1e-7);
            shift[0] = shift[1] = shift[2] = std::log(change / (1 - change));
        } else if (whole.operation == Operation::factor) {
            const double number = whole.flags & kPower ? std::exp(n(1)) : n(1);
            scale[0] = scale[1] = scale[2] = n.happens ? number : 1;
            if (whole.flags & kMix) luma = 1 - scale[0];
        } else {
            std::memcpy(scale, n.real.other, sizeof scale), std::memcpy(shift, n.real.other + 3, sizeof shift);
        }
        for (int k = 0; k < 4; k++) {
            const double grey = luma * (kLuma[0] * m[k] + kLuma[1] * m[4 + k] + kLuma[2] * m[8 + k]);
            for (int c = 0; c < 3; c++) m[4 * c + k] = scale[c] * m[4 * c + k] + grey + (k == 3 ? shift[c] : 0);
        }
    }
};

// Tables over grey levels, in grey levels: what an operation makes of a whole one, and of a table before it.
inline double toned(Operation operation, double level, double number) {
    if (operation == Operation::gamma) return 255 * std::pow(level / 255, number);
    if (operation == Operation::solarize) return level >= number ? 255 - level : level;
    const double dropped = std::exp2(std::fmin(std::fmax(8 - number, 0), 8));
    return std::floor(level / dropped) * dropped;
}
inline void tabled(const Whole& whole, const Numbers& n, double* levels) {
    if (!n.happens) return;
    double number = whole.flags & kPower ? std::exp(n(1)) : n(1);
    if (whole.operation == Operation::posterize) number = std::nearbyint(number);
    double made[256];
    for (int i = 0; i < 256; i++) made[i] = toned(whole.operation, i, number);
    for (int i = 0; i < 256; i++) {
        const double level = std::fmin(std::fmax(levels[i], 0), 255);
        const int below = level < 254 ? static_cast<int>(level) : 254;
        levels[i] = made[below] + (made[below + 1] - made[below]) * (level - below);
    }
}

// The colour map of one segment.
struct Colours {
    Affine logit, colour;
    double hue = 0, levels[256], erase[4] = {0, 0, 0, 0};

    explicit Colours(bool tables) {
        for (int i = 0; tables && i < 256; i++) levels[i] = i;
    }
    void then(const Whole& whole, const Numbers& n) {
        if (whole.operation <= Operation::channels) return (whole.flags & kLogit ? logit : colour).then(whole, n);
        if (whole.operation < Operation::erase && whole.operation > Operation::hue) return tabled(whole, n, levels);
        if (!n.happens) return;
        if (whole.operation == Operation::hue) {
            hue += n(1);
        } else {
            const double area = n(1), ratio = std::exp(n(2));
            const double w = std::fmin(std::sqrt(area * ratio), 1), h = std::fmin(std::sqrt(area / ratio), 1);
            const double x = n.u[3] * (1 - w), y = n.u[4] * (1 - h);
            erase[0] = x, erase[1] = y, erase[2] = x + w, erase[3] = y + h;
        }
    }
    void store(const Drawing& d, int64_t place) const {
        if (d.logit.at) std::memcpy(d.logit.at + 12 * place, logit.m, sizeof logit.m);
        if (d.colour.at) std::memcpy(d.colour.at + 12 * place, colour.m, sizeof colour.m);
        if (d.erase.at) std::memcpy(d.erase.at + 4 * place, erase, sizeof erase);
        if (d.hue.at) d.hue.at[place] = hue;
        for (int i = 0; d.table.at && i < 256; i++) d.table.at[256 * place + i] = levels[i] / 255;
    }
};

// Why not, or null.
inline const char* draw(const Drawing& d) {
    if (const char* text = refusal(d)) return text;
    const int64_t count = d.keys.count;
    for (int64_t image = 0; image < count; image++) {
        const Frame source = {d.sizes.at[2 * image], d.sizes.at[2 * image + 1]};
        const Frame leaves = d.height > 0 ? Frame{d.height, d.width} : source;
        Frame frame = source;
        Matrix matrix = scaled(1, 1, 0, 0);
        Colours colours(d.table.at);
        for (int64_t row = 0; row < d.whole.count; row++) {
            const Whole& whole = d.whole.at[row];
            if (whole.operation == Operation::end) {
                colours.store(d, whole.segment * count + image);
                colours = Colours(d.table.at);
                continue;
            }
            const Numbers n(d, whole, d.real.at[row], d.keys.at[image]);
            if (!n.acts) continue;
            if (whole.operation <= Operation::homography)
                matrix = matrix * geometric(whole, n, frame);
            else
                colours.then(whole, n);
        }
        const double x = source.width / 2, y = source.height / 2;
        const Matrix pixels = scaled(x, y, x, y) * matrix * scaled(2 / leaves.width, 2 / leaves.height, -1, -1);
        std::memcpy(d.matrix.at + 9 * image, pixels.m, sizeof pixels.m);
    }
    return nullptr;
}

}  // namespace onewarp
