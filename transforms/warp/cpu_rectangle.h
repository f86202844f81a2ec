// Which way a rectangle of the output goes. Included inside the namespace of an instruction set, after those ways.

inline void warp_rectangle(const Request& request, const Image& image, const Division& n, int v0, int v1, int u0,
                           int u1) {
    const bool antialias = request.antialias && !image.copies;
    const bool along_rows = image.straight && n.u * n.v == 1 && !n.precise;
    const auto way = image.floats ? (antialias ? floats<true> : floats<false>)
                     : along_rows ? (antialias ? straight<true> : straight<false>)
                                  : (antialias ? rectangle<true> : rectangle<false>);
    way(request, image, n, v0, v1, u0, u1);
}
