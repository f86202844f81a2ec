// All parameters of a batch, drawn and composed by an operation table (see opcodes.py) in float64, image after image:
// what transforms/geometric_operations.py and transforms/colour_operations.py do in numpy.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "cpu_opcodes.h"
#include "cpu_philox.h"

namespace onewarp {

// A row's whole numbers, and the others.
struct Op {
    Opcode opcode;
    int32_t flags, word, index, of, segment, frame, group;  // The last two are for the GPU.
};
struct Operands {
    double low[8], span[8], chance[4], other[12];
};
// The table is read as these: its columns are where opcodes.py says.
template <class Number>
constexpr bool stands(size_t offset, int column) {
    return offset == column * sizeof(Number);
}
static_assert(stands<int32_t>(sizeof(Op), kIntegers) && stands<int32_t>(offsetof(Op, opcode), kOperation) &&
              stands<int32_t>(offsetof(Op, flags), kFlags) && stands<int32_t>(offsetof(Op, word), kWord) &&
              stands<int32_t>(offsetof(Op, index), kIndex) && stands<int32_t>(offsetof(Op, of), kOf) &&
              stands<int32_t>(offsetof(Op, segment), kSegment) && stands<int32_t>(offsetof(Op, frame), kFrame) &&
              stands<int32_t>(offsetof(Op, group), kGroup));
static_assert(stands<double>(sizeof(Operands), kFloats) && stands<double>(offsetof(Operands, low), kLow) &&
              stands<double>(offsetof(Operands, span), kSpan) && stands<double>(offsetof(Operands, chance), kChance) &&
              stands<double>(offsetof(Operands, other), kOther));

struct DrawRequest {
    Block<const Op> ops;
    Block<const Operands> operands;  // As many.
    Block<const double> sizes;   // [count, 2] height, width
    Block<const uint64_t> keys;  // [count]
    uint32_t first, second;
    double height, width;  // of the result; 0 for those of the images
    // A row an image, and all but the homographies for each segment; null for what no segment has.
    Block<double> matrix, logit, hue, table, colour, erase;
};

// Why a drawing cannot be done, or null: what is read and written is as long as it has to be.
inline const char* refusal(const DrawRequest& d) {
    const int64_t count = d.keys.count;
    if (count < 0 || d.ops.count < 0) return "keys and integers must be whole rows";
    if (d.operands.count != d.ops.count) return "floats must have a row for each of integers";
    if (d.sizes.count != 2 * count) return "sizes must have a height and a width for each key";
    if (d.matrix.count != 9 * count) return "matrix must have nine numbers for each key";
    int64_t segments = 0;
    for (int64_t row = 0; row < d.ops.count; row++) {
        const Op& op = d.ops.at[row];
        if (op.opcode < Opcode::dihedral || op.opcode > Opcode::end) return "no such operation";
        if (op.opcode == Opcode::end && op.segment != segments++) return "segments must be in their order";
    }
    const std::pair<const Block<double>*, int64_t> outputs[] = {
        {&d.logit, 12}, {&d.hue, 1}, {&d.table, 256}, {&d.colour, 12}, {&d.erase, 4}};
    for (const auto& [block, numbers] : outputs)
        if ((block->at || block->count) && block->count != segments * count * numbers) return "a stage must have a row for each segment";
    return nullptr;
}

constexpr double kDegree = 0.017453292519943295;

// An operation's numbers for one sample, and whether it does anything to it.
struct Uniforms {
    const Operands& operands;
    double u[8];
    bool acts, happens;

    Uniforms(const DrawRequest& d, const Op& op, const Operands& operands, uint64_t key) : operands(operands) {
        if (op.flags & kBatch) key = 0;
        const uint32_t low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
        uint32_t words[8];
        for (uint32_t block = 0; block < 2; block++) {
            const uint32_t counter[4] = {low, high, static_cast<uint32_t>(op.word), block};
            philox(counter, d.first, d.second, words + 4 * block);
        }
        for (int i = 0; i < 8; i++) u[i] = (words[i] >> 8) * 0x1p-24;
        acts = true;
        if (op.flags & kPicked) {
            acts = static_cast<int32_t>((words[0] >> 8) * static_cast<uint64_t>(op.of) >> 24) == op.index;
            for (int i = 0; i < 7; i++) u[i] = !(op.flags & kAtEnds) ? u[i + 1] : u[i + 1] < 0.5 ? 0 : 1 - 0x1p-24;
        }
        happens = u[0] < operands.chance[0];
    }
    // Number i in its range.
    double operator()(int i) const { return operands.low[i] + operands.span[i] * u[i]; }
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
inline Matrix geometric(const Op& op, const Uniforms& n, Frame& frame) {
    const Operands& operands = n.operands;
    const double aspect = frame.width / frame.height;
    switch (op.opcode) {
        case Opcode::dihedral: {
            const int which = n.happens ? static_cast<int>(std::fmin(std::fmax(n(1), 0), 7)) : 0;
            const double x = which & 1 ? -1 : 1, y = which & 2 ? -1 : 1;
            if (!(which & 4)) return scaled(x, y, 0, 0);
            if (op.flags & kTurns) frame = {frame.width, frame.height};
            return {{0, x, 0, y, 0, 0, 0, 0, 1}};
        }
        case Opcode::affine: {
            if (!n.happens) return scaled(1, 1, 0, 0);
            const double angle = n(1) * kDegree, c = std::cos(angle), s = std::sin(angle);
            const double skew_x = std::tan(n(5) * kDegree), skew_y = std::tan(n(6) * kDegree);
            const double scale = n(4), both = 1 + skew_x * skew_y;  // Along x, then along y: areas stay.
            const Matrix moved = scaled(1, 1, -2 * n(2), -2 * n(3));
            return Matrix{{(both * c + skew_x * s) / scale, (both * s - skew_x * c) / scale / aspect, 0,
                           (-s - skew_y * c) / scale * aspect, (c - skew_y * s) / scale, 0, 0, 0, 1}} *
                   moved;
        }
        case Opcode::zoom: {
            const double share = 1 / (n.happens ? n(1) : 1);
            return box(share, share, n(2), n(3));
        }
        case Opcode::perspective: {
            const double x = n.happens ? n(1) : 0, y = n.u[2] < operands.chance[1] ? n(3) : 0;
            const double b = 2 * x * y / (1 - x * x - y * y), c = -x - b * y, f = -y - b * x;
            return {{1, b, c, b, 1, f, c, f, 1}};
        }
        case Opcode::crop: {
            const Frame leaves = {operands.other[0], operands.other[1]};
            const double wide = aspect * leaves.height / leaves.width;  // Above one: the frame is too wide.
            double x = std::fmin(1 / wide, 1), y = std::fmin(wide, 1);
            if (op.flags & kPad) x = std::fmax(1 / wide, 1), y = std::fmax(wide, 1);
            if (op.flags & kSquish) x = y = 1;
            frame = leaves;
            return box(x, y, n(0), n(1));
        }
        case Opcode::random_crop: {
            const double ratio = std::exp(n(1)), widest = std::fmin(frame.width, frame.height * ratio);
            const double area = n(0) * frame.width * frame.height;
            const double width = std::fmin(std::sqrt(area * ratio), widest) * n(4);
            const double x = width / frame.width, y = width / ratio / frame.height;
            frame = {operands.other[0], operands.other[1]};
            return box(x, y, n(2), n(3));
        }
        default:  // A homography that is given.
            Matrix given;
            std::memcpy(given.m, operands.other, sizeof given.m);
            return given;
    }
}

// An affine map of RGB or of its logits, and what is done after it.
struct Affine {
    double m[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};

    void then(const Op& op, const Uniforms& n) {
        double scale[3] = {1, 1, 1}, shift[3] = {0, 0, 0}, luma = 0;
        if (op.opcode == Opcode::brightness) {
            const double change = std::fmin(std::fmax(n.happens ? n(1) : 0.5, 1e-7), 1 - 1e-7);
            shift[0] = shift[1] = shift[2] = std::log(change / (1 - change));
        } else if (op.opcode == Opcode::factor) {
            const double number = op.flags & kPower ? std::exp(n(1)) : n(1);
            scale[0] = scale[1] = scale[2] = n.happens ? number : 1;
            if (op.flags & kMix) luma = 1 - scale[0];
        } else {
            for (int c = 0; c < 3; c++) scale[c] = n(c), shift[c] = n(3 + c);
        }
        for (int k = 0; k < 4; k++) {
            const double grey = luma * (kLuma[0] * m[k] + kLuma[1] * m[4 + k] + kLuma[2] * m[8 + k]);
            for (int c = 0; c < 3; c++) m[4 * c + k] = scale[c] * m[4 * c + k] + grey + (k == 3 ? shift[c] : 0);
        }
    }
};

// Tables over grey levels, in grey levels: what an operation makes of a whole one, and of a table before it.
inline double toned(Opcode opcode, double level, double number) {
    if (opcode == Opcode::gamma) return 255 * std::pow(level / 255, number);
    if (opcode == Opcode::scale) return std::fmin(level * number, 255);
    if (opcode == Opcode::solarize) return level >= number ? 255 - level : level;
    const double dropped = std::exp2(std::fmin(std::fmax(8 - number, 0), 8));
    return std::floor(level / dropped) * dropped;
}
inline void tabled(const Op& op, const Uniforms& n, double* levels) {
    if (!n.happens) return;
    double number = op.flags & kPower ? std::exp(n(1)) : n(1);
    if (op.opcode == Opcode::posterize) number = std::nearbyint(number);
    double made[256];
    for (int i = 0; i < 256; i++) made[i] = toned(op.opcode, i, number);
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
    void then(const Op& op, const Uniforms& n) {
        if (op.opcode <= Opcode::channels) return (op.flags & kLogit ? logit : colour).then(op, n);
        if (op.opcode < Opcode::erase && op.opcode > Opcode::hue) return tabled(op, n, levels);
        if (!n.happens) return;
        if (op.opcode == Opcode::hue) {
            hue += n(1);
        } else {
            const double area = n(1), ratio = std::exp(n(2));
            const double w = std::fmin(std::sqrt(area * ratio), 1), h = std::fmin(std::sqrt(area / ratio), 1);
            const double x = n(3) * (1 - w), y = n(4) * (1 - h);
            erase[0] = x, erase[1] = y, erase[2] = x + w, erase[3] = y + h;
        }
    }
    void store(const DrawRequest& d, int64_t place) const {
        if (d.logit.at) std::memcpy(d.logit.at + 12 * place, logit.m, sizeof logit.m);
        if (d.colour.at) std::memcpy(d.colour.at + 12 * place, colour.m, sizeof colour.m);
        if (d.erase.at) std::memcpy(d.erase.at + 4 * place, erase, sizeof erase);
        if (d.hue.at) d.hue.at[place] = hue;
        for (int i = 0; d.table.at && i < 256; i++) d.table.at[256 * place + i] = levels[i] / 255;
    }
};

// Why not, or null.
inline const char* draw(const DrawRequest& d) {
    if (const char* text = refusal(d)) return text;
    const int64_t count = d.keys.count;
    for (int64_t image = 0; image < count; image++) {
        const Frame source = {d.sizes.at[2 * image], d.sizes.at[2 * image + 1]};
        const Frame leaves = d.height > 0 ? Frame{d.height, d.width} : source;
        Frame frame = source;
        Matrix matrix = scaled(1, 1, 0, 0);
        Colours colours(d.table.at);
        for (int64_t row = 0; row < d.ops.count; row++) {
            const Op& op = d.ops.at[row];
            if (op.opcode == Opcode::end) {
                colours.store(d, op.segment * count + image);
                colours = Colours(d.table.at);
                continue;
            }
            const Uniforms n(d, op, d.operands.at[row], d.keys.at[image]);
            if (!n.acts) continue;
            if (op.opcode <= Opcode::homography)
                matrix = matrix * geometric(op, n, frame);
            else
                colours.then(op, n);
        }
        const double x = source.width / 2, y = source.height / 2;
        const Matrix pixels = scaled(x, y, x, y) * matrix * scaled(2 / leaves.width, 2 / leaves.height, -1, -1);
        std::memcpy(d.matrix.at + 9 * image, pixels.m, sizeof pixels.m);
    }
    return nullptr;
}

}  // namespace onewarp
