"""GLSL of the simulated patient: skin and hair, eyes by casting rays, garment."""

SURFACE_VERTEX = """
#version 330
uniform mat3 turn; uniform mat3 neck_turn; uniform vec3 neck_pivot; uniform vec3 place;
uniform vec2 focal;
in vec3 point; in vec3 normal; in vec3 rest; in vec4 tint; in vec4 marks; in float neck;
out vec3 at; out vec3 facing; out vec3 grain; out vec4 colour; out vec4 depths;
void main() {
    vec3 head = turn * point;
    vec3 bust = turn * neck_pivot + neck_turn * (point - neck_pivot);
    at = mix(head, bust, neck) + place;
    facing = mix(turn * normal, neck_turn * normal, neck);
    grain = rest; colour = tint; depths = marks;
    gl_Position = vec4(focal * at.xy, 2.0 * (-at.z - 600.0) / 1100.0 * -at.z, -at.z);
}
"""

# Compiled for each kind of surface, with BROW, HAIR or neither defined: software drawing pays for
# what a branch leaves out, too.
# depths: brow, lips, hair (mm), and 1 for lashes, which are seen through.
SURFACE_FRAGMENT = """
uniform vec3 key_direction; uniform vec3 key; uniform vec3 fill; uniform vec3 hair_colour;
uniform vec3 brow_colour;
in vec3 at; in vec3 facing; in vec3 grain; in vec4 colour; in vec4 depths;
out vec4 picture;
float hash(vec2 p) { return fract(sin(dot(p, vec2(41.3, 289.1))) * 43758.5); }
float noise(vec2 p) {
    vec2 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x),
               mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}
void main() {
    vec3 n = normalize(facing), v = normalize(-at);
    vec3 albedo = colour.rgb;
    float sheen = 0.10;
#ifdef BROW
    float strand = noise(vec2(grain.x * 1.9 + grain.y * 1.1, grain.y * 0.35));
    float hairy = smoothstep(-1.0, 1.6, depths.x + 1.6 * (strand - 0.5));
    albedo = mix(albedo, brow_colour, 0.86 * hairy);
    sheen *= 1.0 - hairy;
#endif
#ifdef HAIR
    float around = atan(grain.x, grain.y - 20.0);
    float strand = noise(vec2(around * 58.0, grain.z * 0.05 + length(grain.xy) * 0.04));
    float hairy = smoothstep(-3.0, 4.0, depths.z + 6.0 * (strand - 0.5));
    albedo = mix(albedo, hair_colour * (0.55 + 0.9 * strand), hairy);
    sheen = mix(sheen, 0.12 * strand, hairy);
#endif
    sheen = mix(sheen, 0.30, smoothstep(0.0, 1.5, depths.y));
    float lit = dot(n, key_direction);
    float wrapped = max((lit + 0.28) / 1.28, 0.0);
    vec3 soft = vec3(mix(wrapped, sqrt(wrapped), 0.25), wrapped, wrapped);
    vec3 light = key * soft + fill * (0.72 + 0.28 * n.y) * colour.a;
    light *= mix(0.55, 1.0, colour.a);
    float glance = max(dot(n, normalize(key_direction + v)), 0.0);
    glance *= glance; glance *= glance; glance *= glance;
    float shine = glance * glance * sheen * colour.a;
    picture = vec4(sqrt(max(albedo * light + key * shine, 0.0)), 1.0 - depths.w);
}
"""

EYE_VERTEX = """
#version 330
uniform mat3 turn; uniform vec3 place; uniform vec2 focal; uniform vec3 centre;
in vec3 beside;
out vec3 point;
void main() {
    point = centre + beside;
    vec3 at = turn * point + place;
    gl_Position = vec4(focal * at.xy, 2.0 * (-at.z - 600.0) / 1100.0 * -at.z, -at.z);
}
"""

# The surface drawn only says which pixels see the eye; what they see is found by casting a ray at
# a ball of 12 mm with an iris 11.7 mm wide, 10.48 mm before its centre.
EYE_FRAGMENT = """
#version 330
uniform vec3 camera; uniform vec3 centre; uniform vec3 pivot; uniform vec3 gaze;
uniform float pupil_mm; uniform vec3 iris_colour; uniform vec3 key; uniform vec3 fill;
uniform vec3 key_direction; uniform mat3 turn;
uniform float upper_lid[7];
in vec3 point;
out vec4 picture;
const float BALL = 12.0, IRIS = 5.85, DEPTH = 10.48;
float hash(float p) { return fract(sin(p * 91.7) * 43758.5); }
void main() {
    vec3 ray = normalize(point - camera);
    vec3 from = camera - pivot;
    float b = dot(from, ray), c = dot(from, from) - BALL * BALL;
    float inside = b * b - c;
    vec3 beside = point - centre;
    vec3 pink = vec3(0.46, 0.19, 0.16);
    vec3 albedo = pink;
    vec3 n = normalize(beside);
    if (inside > 0.0) {
        vec3 hit = from + ray * (-b - sqrt(inside));
        n = hit / BALL;
        float corner = smoothstep(8.0, 13.5, abs(beside.x));
        albedo = mix(vec3(0.70, 0.66, 0.63), pink, 0.75 * corner);
        albedo -= vec3(0.02, 0.07, 0.07) * smoothstep(5.0, 11.0, abs(beside.x));
    }
    float towards = dot(ray, gaze);
    vec3 disc = from + ray * ((DEPTH - dot(from, gaze)) / towards);
    vec3 across = disc - gaze * DEPTH;
    float radius = length(across);
    if (towards < 0.0 && radius < IRIS + 0.4) {
        vec3 side = normalize(cross(vec3(0, 1, 0), gaze));
        float angle = atan(dot(across, cross(gaze, side)), dot(across, side));
        float fibre = mix(hash(floor(angle * 19.0)), hash(floor(angle * 31.0 + 7.0)), 0.5);
        vec3 iris = iris_colour * iris_colour * (0.75 + 0.5 * fibre);
        iris *= mix(1.25, 0.45, smoothstep(3.9, 5.7, radius));
        iris = mix(vec3(0.006), iris, smoothstep(-0.22, 0.22, radius - 0.5 * pupil_mm));
        albedo = mix(iris, albedo, smoothstep(-0.45, 0.4, radius - IRIS));
        n = mix(gaze, n, smoothstep(-0.4, 0.4, radius - IRIS));
    }
    // The upper lid's shade.
    float column = clamp((beside.x + 9.0) / 3.0, 0.0, 5.999);
    int low = int(column);
    float edge = mix(upper_lid[low], upper_lid[low + 1], column - float(low));
    float shade = mix(0.38, 1.0, smoothstep(-0.6, 3.4, edge - beside.y));
    vec3 facing = turn * n;
    float lit = max((dot(facing, key_direction) + 0.4) / 1.4, 0.0);
    vec3 light = (key * lit + fill) * shade;
    // The window in the cornea: a sphere of 7.8 mm, 5.6 mm before the ball's centre.
    vec3 cornea = pivot + 5.6 * gaze;
    vec3 q = camera - cornea;
    float d = dot(q, ray), e = d * d - dot(q, q) + 7.8 * 7.8;
    vec3 colour = albedo * light;
    if (e > 0.0 && radius < IRIS + 1.5) {
        vec3 m = (q + ray * (-d - sqrt(e))) / 7.8;
        float glint = dot(turn * reflect(ray, m), key_direction);
        colour += 0.85 * key * smoothstep(0.972, 0.985, glint) * shade;
    }
    picture = vec4(sqrt(max(colour, 0.0)), 1.0);
}
"""

ROOM_VERTEX = """
#version 330
in vec2 corner;
out vec2 uv;
void main() { uv = corner * 0.5 + 0.5; gl_Position = vec4(corner, 0.0, 1.0); }
"""

ROOM_FRAGMENT = """
#version 330
uniform sampler2D room;
in vec2 uv;
out vec4 picture;
void main() { picture = vec4(texture(room, uv).rgb, 1.0); }
"""
