"""The mask's GLSL. Light and camera stand still in the view frame; colours are linear inside.

SKIN, IRIS_INNER and IRIS_OUTER are defined before they are compiled (`complexion.py`).
"""

# From where to where lips and brows change the skin's colour: depth within them, mm.
LIP_EDGE_MM = (-1.1, 1.3)
BROW_EDGE_MM = (-2.0, 2.2)

# Common to all: the view transform. `turn` turns the head, `neck_turn` its neck, which follows
# by a part only; `place` is (x, y) of the head in the picture, in mm at the head's distance.
_VIEW = """#version 330
layout(std140) uniform View {
    mat3 turn, neck_turn;
    vec3 neck_pivot;
    float distance_mm;
    vec2 place, scale;
};

vec3 to_view(vec3 p, float neck) {
    vec3 head = turn * p;
    vec3 bust = turn * neck_pivot + neck_turn * (p - neck_pivot);
    return mix(head, bust, neck);
}

vec4 to_clip(vec3 view) {
    float w = distance_mm - view.z;
    // Near 200 mm in front of the head, far 300 mm behind it. Rows run downwards: the picture is
    // read back with its top row first.
    float depth = (w - (distance_mm - 200.0)) / 500.0 * 2.0 - 1.0;
    vec2 xy = (view.xy * distance_mm / w + place) * scale;
    return vec4(xy.x * w, -xy.y * w, depth * w, w);
}
"""

_LIGHT = """
const vec3 key_from = vec3(-0.42, 0.50, 0.76);
const vec3 fill_from = vec3(0.70, 0.10, 0.70);
const vec3 rim_from = vec3(0.35, 0.45, -0.82);
const vec3 key = vec3(1.00, 0.965, 0.92) * 0.83;
const vec3 fill = vec3(0.86, 0.93, 1.00) * 0.22;
const vec3 sky = vec3(0.90, 0.95, 1.00) * 0.36;
const vec3 ground = vec3(0.96, 0.86, 0.80) * 0.20;

vec3 wrapped(float cosine, vec3 wrap) {
    return clamp((vec3(cosine) + wrap) / (1.0 + wrap), 0.0, 1.0);
}

vec3 encoded(vec3 linear) {
    // A shoulder that keeps bright skin from clipping, then a close match of sRGB's curve that
    // needs no power, which is slow in software.
    linear = clamp(linear / (1.0 + 0.16 * linear * linear), 0.0, 1.0);
    vec3 root = sqrt(linear);
    return root * (1.0 + 0.19 * (1.0 - root) * (0.35 + root * 0.65) * 1.2);
}
"""

_NECK_LEFT = """
// How much of the neck is left; the jaw, however wide it opens, does not fade with it.
float neck_left(vec3 p, float neck) {
    return smoothstep(-150.0, -112.0, mix(-100.0, p.y, smoothstep(0.0, 0.3, neck)));
}
"""

# The skin's light is worked out per vertex (the mesh is fine where it bends), and its colour too;
# but the borders of lips and brows per pixel.
_SHARE = """
// What the lips and the brows leave of the skin's own colour; depth in a brow, in the lips, mm.
vec3 left_by(vec2 marks) {
    vec3 share = mix(vec3(1.0), vec3(0.872, 0.748, 0.779), smoothstep(-1.1, 1.3, marks.y));
    return share * mix(vec3(1.0), vec3(0.60, 0.575, 0.56), smoothstep(-2.0, 2.2, marks.x));
}
"""

_SKIN_LIGHT = """
in vec3 point, normal;
in vec4 tint;      // occlusion, depth in a brow mm, depth in the lips mm, part
in float neck;

vec3 skin_light(vec3 view) {
    vec3 n = normalize(mix(turn * normal, neck_turn * normal, neck));
    vec3 eye = normalize(vec3(0.0, 0.0, distance_mm) - view);
    float gloss = 0.045 + 0.03 * smoothstep(-1.1, 1.3, tint.z);
    vec3 albedo = SKIN;
    if (tint.w > 0.5) {
        if (tint.w < 1.5) {
            albedo = vec3(0.34, 0.12, 0.11);
        } else if (tint.w < 2.5) {
            albedo = vec3(0.52, 0.24, 0.23);
            gloss = 0.10;
        } else if (tint.w < 3.5) {
            albedo = vec3(0.80, 0.76, 0.69);
            gloss = 0.12;
        } else {
            albedo = vec3(0.665, 0.45, 0.395);
            gloss = 0.09;
        }
    }
    float open = clamp(tint.w > 2.5 ? sqrt(tint.x) : tint.x, 0.02, 1.0);
    // Light that has entered the skin comes out warm where little of the room is seen.
    vec3 room = pow(vec3(open), vec3(0.75, 1.0, 1.08));
    vec3 light = key * wrapped(dot(n, key_from), vec3(0.42, 0.27, 0.20));
    light *= mix(vec3(1.0), room, 0.60);
    light += fill * wrapped(dot(n, fill_from), vec3(0.4)) * mix(vec3(1.0), room, 0.7);
    light += mix(ground, sky, 0.5 + 0.5 * n.y) * room;
    float grazing = 1.0 - clamp(dot(n, eye), 0.0, 1.0);
    float rim = grazing * grazing * grazing * clamp(dot(n, rim_from) + 0.55, 0.0, 1.0);
    float mirror = pow(clamp(dot(n, normalize(key_from + eye)), 0.0, 1.0), 22.0);
    vec3 lit = albedo * light + vec3(0.20, 0.22, 0.24) * rim * open;
    return lit + gloss * mirror * room * (1.0 + 3.0 * grazing);
}
"""

SKIN_VERTEX = (
    _VIEW
    + _LIGHT
    + _SHARE
    + _SKIN_LIGHT
    + _NECK_LEFT
    + """
out vec4 shade;    // colour, and how much of the neck is left

void main() {
    vec3 view = to_view(point, neck);
    shade.rgb = encoded(skin_light(view) * left_by(tint.yz));
    shade.a = neck_left(point, neck);
    gl_Position = to_clip(view);
}
"""
)

SKIN_FRAGMENT = """#version 330
in vec4 shade;
out vec4 colour;
void main() { colour = vec4(shade.rgb, 1.0); }
"""

NECK_FRAGMENT = """#version 330
in vec4 shade;
out vec4 colour;
void main() { colour = shade; }
"""

BORDER_VERTEX = (
    _VIEW
    + _LIGHT
    + _SKIN_LIGHT
    + """
out vec3 lit;
out vec2 marks;
void main() {
    vec3 view = to_view(point, neck);
    lit = skin_light(view);
    marks = tint.yz;
    gl_Position = to_clip(view);
}
"""
)

BORDER_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + _SHARE
    + """
in vec3 lit;
in vec2 marks;
out vec4 colour;
void main() { colour = vec4(encoded(lit * left_by(marks)), 1.0); }
"""
)

_EYE = """
layout(std140) uniform Eye {
    mat3 gaze;         // eye frame (z along the visual axis) to head frame
    vec3 centre;
    float radius;      // of the surface that is drawn
    vec3 camera;       // beside the centre, head frame
    float pupil_mm;
    vec2 fissure;      // x of both ends beside the eyeball's centre, medial first
    float lateral, first_part;
    vec4 margins[12];  // heights of the upper and the lower lid along the fissure
};
"""

# What is drawn only says which pixels look at the eye; what they see is found by casting a ray.
# A ball of 12 mm; the iris is a disc of 11.7 mm across where the ball has that width, 10.5 mm
# before the centre of rotation; the cornea has a radius of 7.8 mm and meets the ball there.
_EYE_RAY = """
const float ball_mm = 12.0, iris_mm = 5.85, iris_depth_mm = 10.478;
const float cornea_mm = 7.8, cornea_depth_mm = 5.319;

struct Sight {
    vec3 at;          // what is seen, eye frame
    float off_axis;   // its distance from the visual axis, large behind
    float miss;       // of the ray from the ball's centre
    vec3 ray;
};

Sight sight(vec3 through, vec3 from) {
    Sight s;
    s.ray = normalize(through - from);
    float b = dot(through, s.ray);
    vec3 nearest = through - b * s.ray;
    s.miss = length(nearest);
    s.at = nearest - s.ray * sqrt(max(ball_mm * ball_mm - s.miss * s.miss, 0.0));
    s.off_axis = s.at.z > 0.0 ? length(s.at.xy) : 99.0;
    if (s.ray.z < 0.0) {
        vec3 disc = through + s.ray * ((iris_depth_mm - through.z) / s.ray.z);
        float off = length(disc.xy);
        if (off < iris_mm) {
            s.at = disc;
            s.off_axis = off;
        }
    }
    return s;
}
"""

EYE_VERTEX = (
    _VIEW
    + _EYE
    + """
in vec3 unit;
out vec3 view, from_centre, through;
flat out vec3 from;
void main() {
    from_centre = unit * radius;
    through = transpose(gaze) * from_centre;
    from = transpose(gaze) * camera;
    view = to_view(centre + from_centre, 0.0);
    gl_Position = to_clip(view);
    // The ball lies deeper than this surface: the lids' edges reach in to it. 4.5 mm of depth.
    gl_Position.z += 0.018 * gl_Position.w;
}
"""
)

EYE_FRAGMENT = (
    _VIEW
    + _EYE
    + _EYE_RAY
    + _LIGHT
    + """
in vec3 view, from_centre, through;
flat in vec3 from;
out vec4 colour;

void main() {
    Sight s = sight(through, from);
    float edge = clamp(fwidth(s.off_axis), 0.02, 0.6);
    vec3 eye = normalize(vec3(0.0, 0.0, distance_mm) - view);
    // Beside the ball lies the conjunctiva, which the drawn surface stands for.
    vec3 local_n = mix(normalize(s.at), normalize(through), smoothstep(7.5, 12.0, s.miss));
    vec3 n = normalize(turn * (gaze * local_n));

    float column = clamp((from_centre.x - fissure.x) / (fissure.y - fissure.x), 0.0, 1.0) * 11.0;
    int at = min(int(column), 10);
    vec2 lids = mix(margins[at], margins[at + 1], column - float(at)).xy;
    float below_upper = lids.x - from_centre.y;
    float above_lower = from_centre.y - lids.y;

    // Sclera: warm, a little pink towards the corners.
    vec3 albedo = vec3(0.715, 0.680, 0.645);
    float corner = smoothstep(7.0, 13.5, abs(from_centre.x));
    albedo = mix(albedo, vec3(0.62, 0.44, 0.40), 0.60 * corner);
    // Caruncle and the fold beside it, in the inner corner.
    float medial = (from_centre.x - fissure.x) * lateral;
    vec2 from_caruncle = vec2(medial - 0.9, (from_centre.y - 0.5 * (lids.x + lids.y)) * 0.9);
    float off_caruncle = length(from_caruncle);
    float caruncle = 1.0 - smoothstep(1.5, 2.7, off_caruncle);
    float fold = smoothstep(1.9, 2.6, off_caruncle) * (1.0 - smoothstep(2.6, 4.4, off_caruncle));
    albedo = mix(albedo, vec3(0.60, 0.36, 0.32), 0.40 * fold);
    albedo = mix(albedo, vec3(0.60, 0.31, 0.27), 0.85 * caruncle);
    float behind = smoothstep(13.2, 14.2, s.miss);
    albedo = mix(albedo, vec3(0.40, 0.23, 0.20), behind);

    // Iris: faint radial fibres, darker outside, a lighter collarette.
    float r = s.off_axis / iris_mm;
    float angle = atan(s.at.y, s.at.x);
    float fibres = sin(angle * 23.0 + 2.0 * sin(angle * 5.0)) * 0.5
                 + sin(angle * 41.0 + 1.3) * 0.35 + sin(angle * 67.0 + 4.0 * r) * 0.25;
    vec3 iris = mix(IRIS_INNER, IRIS_OUTER, smoothstep(0.35, 0.95, r));
    iris *= 1.0 + 0.14 * fibres * smoothstep(0.25, 0.55, r);
    // Light from above is bent through the cornea onto the iris' lower half.
    iris *= 1.0 + 0.45 * clamp(-s.at.y / iris_mm + 0.15, 0.0, 1.0);
    iris *= mix(1.0, 0.42, smoothstep(0.80, 1.0, r));
    float blend = max(edge, 0.30);
    float in_iris = 1.0 - smoothstep(iris_mm - blend, iris_mm + blend, s.off_axis);
    float pupil = 0.5 * pupil_mm;
    float pupil_edge = max(edge, 0.10);
    float in_pupil = 1.0 - smoothstep(pupil - pupil_edge, pupil + pupil_edge, s.off_axis);
    albedo = mix(albedo, iris, in_iris);
    albedo = mix(albedo, vec3(0.006), in_pupil);

    // The lids' shade and the lashes': soft below the upper lid, a thin line above the lower.
    float shade = mix(0.42, 1.0, smoothstep(-0.6, 3.6, below_upper));
    shade *= mix(0.70, 1.0, smoothstep(-0.2, 1.4, above_lower));
    shade *= mix(1.0, 0.66, smoothstep(8.0, 13.5, abs(from_centre.x)));
    vec3 light = key * wrapped(dot(n, key_from), vec3(0.45, 0.38, 0.35));
    light += fill * wrapped(dot(n, fill_from), vec3(0.4));
    light += mix(ground, sky, 0.5 + 0.5 * n.y);
    vec3 linear = albedo * light * shade;

    // The tear film on the lower lid's edge.
    float wet = smoothstep(0.0, 0.25, above_lower) * (1.0 - smoothstep(0.30, 0.75, above_lower));
    linear += vec3(0.11) * wet * (1.0 - 0.6 * in_iris) * shade;

    // The window, mirrored small and bright in the cornea; duller on the wet ball.
    vec3 mirror_at = local_n;
    vec3 beside = through - vec3(0.0, 0.0, cornea_depth_mm);
    float b = dot(beside, s.ray);
    float reach = cornea_mm * cornea_mm - dot(beside, beside) + b * b;
    if (reach > 0.0) {
        vec3 on_cornea = (beside - s.ray * (b + sqrt(reach))) / cornea_mm;
        mirror_at = mix(mirror_at, on_cornea, in_iris);
    }
    vec3 mirrored = reflect(-eye, normalize(turn * (gaze * mirror_at)));
    float window = smoothstep(0.962, 0.988, dot(mirrored, key_from));
    window *= mix(0.07, 0.66, in_iris) * smoothstep(0.1, 1.2, below_upper);
    linear += vec3(0.85, 0.90, 0.95) * window;
    vec3 second_from = normalize(fill_from + vec3(0.0, -0.3, 0.0));
    float second = smoothstep(0.970, 0.995, dot(mirrored, second_from));
    linear += vec3(0.55) * second * 0.09;
    colour = vec4(encoded(linear), 1.0);
}
"""
)

# The identity pass: the same vertices and the same rays; what and where instead of a colour.
SKIN_IDENTITY_VERTEX = (
    _VIEW
    + _NECK_LEFT
    + """
in vec3 point;
in vec4 tint;
in float neck;
out vec3 head_mm;
out vec2 kind;     // part of the head, how much of the neck is left
void main() {
    head_mm = point;
    kind = vec2(tint.w, neck_left(point, neck));
    gl_Position = to_clip(to_view(point, neck));
}
"""
)

SKIN_IDENTITY_FRAGMENT = """#version 330
in vec3 head_mm;
in vec2 kind;
out vec4 seen;
void main() {
    if (kind.y < 0.5) discard;
    bool in_mouth = kind.x > 0.5 && kind.x < 3.5;
    seen = vec4(head_mm, in_mouth ? 2.0 : 1.0);
}
"""

EYE_IDENTITY_FRAGMENT = (
    _VIEW
    + _EYE
    + _EYE_RAY
    + """
in vec3 view, from_centre, through;
flat in vec3 from;
out vec4 seen;
void main() {
    Sight s = sight(through, from);
    float part = s.off_axis < 0.5 * pupil_mm ? 2.0 : s.off_axis < iris_mm ? 1.0 : 0.0;
    seen = vec4(centre + gaze * s.at, first_part + part);
}
"""
)

LASH_VERTEX = (
    _VIEW
    + """
in vec3 point;
in vec3 along;     // 0 at the root to 1 at the tip, mm along the lid, strength
out vec3 lash;
void main() {
    lash = along;
    gl_Position = to_clip(to_view(point, 0.0));
    // A millimetre nearer in depth alone: shut lids press their lashes' roots into each other.
    gl_Position.z -= 0.004 * gl_Position.w;
}
"""
)

LASH_FRAGMENT = """#version 330
in vec3 lash;
out vec4 colour;
void main() {
    // Single lashes where the picture is large enough, their mean where it is not.
    float spacing = 0.9;
    float place = lash.y / spacing + 0.25 * sin(lash.y * 2.1);
    float blur = clamp(fwidth(place) * 1.6, 0.0, 1.0);
    float thin = mix(0.42, 0.06, lash.x);
    float strand = smoothstep(thin + 0.10, thin - 0.06, abs(fract(place) - 0.5));
    float cover = mix(strand, 2.0 * thin, blur);
    cover = max(cover, 1.0 - smoothstep(0.0, 0.22, lash.x));
    float fade = 1.0 - smoothstep(0.35, 1.0, lash.x);
    colour = vec4(vec3(0.20, 0.155, 0.13), cover * fade * lash.z);
}
"""
